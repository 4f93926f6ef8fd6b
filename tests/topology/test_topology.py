"""netns_topology: networks of a text or a builder, ready when they are returned."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket

import pytest

from pytest_netns import (
    Host,
    MakeNetNS,
    MakeTopology,
    NetNSClosedError,
    NetNSOSError,
    NetNSPair,
    NetNSUnsupportedError,
    Topology,
    TopologyError,
)
from pytest_netns._linux import netlink, rtnetlink, syscalls
from pytest_netns._topology.making import build
from pytest_netns._topology.making.channel import Channel
from pytest_netns._topology.making.requests import Request
from tests.support.helpers import links_of_networks
from tests.support.neighbours import PATIENCE, ask_once

pytestmark = [pytest.mark.core, pytest.mark.second_kernel]

FAMILIES = [socket.AF_INET, socket.AF_INET6]


def address_of(host: Host, family: int) -> str:
    return host.ip if family == socket.AF_INET else host.ip6


def is_reached(client: Host, server: Host, family: int = socket.AF_INET, timeout: float = PATIENCE) -> bool:
    """Whether a first datagram arrives and its answer too."""
    with (
        client.socket(family, socket.SOCK_DGRAM) as asking,
        server.socket(family, socket.SOCK_DGRAM) as answering,
    ):
        answering.bind((address_of(server, family), 53))
        asking.settimeout(timeout)
        answering.settimeout(timeout)
        try:
            asking.sendto(b"first", (address_of(server, family), 53))
            _, client_address = answering.recvfrom(100)
            answering.sendto(b"answer", client_address)
            return asking.recv(100) == b"answer"
        except OSError:
            return False


def reaches_all(net: Topology) -> bool:
    hosts = [net[name] for name in net if net[name].kind != "switch"]
    return all(is_reached(one, other, family) for family in FAMILIES for one in hosts for other in hosts)


@pytest.mark.smoke
@pytest.mark.netns_topology("client -- r1 -- r2 -- server")
def test_the_first_packet_arrives(netns_topology: Topology) -> None:
    for family in FAMILIES:
        ask_once(*(netns_topology[name] for name in netns_topology))
        assert is_reached(netns_topology["client"], netns_topology["server"], family)


@pytest.mark.parametrize(
    "text",
    [
        "left -- right",
        "sw [switch]\nsw -- {web db cache} [192.0.2.0/24]",
        "r1 -- r2 -- r3 -- r4 -- r1\nr1 -- a\nr3 -- b",
        "s1, s2 [switch]\ns1 -- s2\ns1 -- {a b}\ns2 -- {c r}\nr -- d\nr [router]",
        "a -- b [10.9.0.0/31 2001:db8:9::/127]",
    ],
)
def test_everybody_reaches_everybody(netns_topology: Topology, text: str) -> None:
    netns_topology.add(text)
    assert reaches_all(netns_topology)


@pytest.mark.netns_topology(
    """
    sw1, sw2 [switch]
    a1 -- [access=10] -- sw1 -- [trunk=10,20] -- sw2 -- [access=10] -- a2
    b1 -- [access=20 10.0.1.0/24] -- sw1
    sw2 -- [access=20] -- b2
    """
)
@pytest.mark.netns_requires("vlan")
def test_vlans_do_not_hear_each_other(netns_topology: Topology) -> None:
    net = netns_topology
    assert is_reached(net["a1"], net["a2"])
    assert is_reached(net["b1"], net["b2"])
    net["b1"].ipr.route("add", dst=f"{net['a2'].ip}/32", oif=net["b1"].interfaces["eth0"].index)
    assert not is_reached(net["b1"], net["a2"], timeout=0.1)


def test_a_network_is_described_step_by_step(netns_topology: Topology) -> None:
    net = netns_topology
    assert net.host("server", "192.0.2.80", mtu=1400, sysctl={"net.ipv4.ip_default_ttl": 7}) == "server"
    net.router("r1")
    net.link("client", "r1:wan")
    net.link("r1", "server", "192.0.2.0/24")
    net.lan("sw", "a", "b", networks=["198.51.100.0/24"])
    net.ring("x", "y", "z")
    net.line("r1", "x")
    assert list(net) == ["server", "r1", "client", "sw", "a", "b", "x", "y", "z"]
    assert len(net) == 9
    assert "client" in net
    assert net["server"].ip == "192.0.2.80"
    assert net["server"].sysctl["net.ipv4.ip_default_ttl"] == "7"
    assert net["server"].ipr.link("get", ifname="eth0")[0].get("mtu") == 1400
    assert net["r1"].interfaces["wan"].peer.host is net["client"]
    assert [net[name].kind for name in ("r1", "x", "sw", "a")] == ["router", "router", "switch", "host"]
    assert is_reached(net["client"], net["server"])
    assert is_reached(net["client"], net["z"])
    assert Topology(net.text).text == net.text


def test_a_topodef_of_frrouting(netns_topology_factory: MakeTopology) -> None:
    with netns_topology_factory(Topology.from_lans({"s1": ("r1",), "s2": ("r1", "r2"), "s3": ("r2",)})) as net:
        assert list(net["r1"].interfaces) == ["r1-eth0", "r1-eth1"]
        assert is_reached(net["r1"], net["r2"])


@pytest.mark.netns_topology("client [mtu=1400]\nclient -- r1 -- server")
def test_a_host(netns_topology: Topology) -> None:
    client = netns_topology["client"]
    assert isinstance(client, Host)
    assert (client.ip, client.ip6) == ("10.0.1.1", "2001:db8:0:1::1")
    eth0 = client.interfaces["eth0"]
    assert repr(eth0) == "<Interface eth0 of 'client'>"
    assert eth0.addresses == [ipaddress.ip_interface("10.0.1.1/24"), ipaddress.ip_interface("2001:db8:0:1::1/64")]
    assert eth0.peer.host.label == "r1"
    assert eth0.peer.peer is eth0
    seen = client.ipr.link("get", ifname="eth0")[0]
    assert (seen["index"], seen.get("address"), seen.get("mtu")) == (eth0.index, eth0.mac, 1400)
    assert seen.get("link") != eth0.index, "the news of such a link's carrier waits for a second"
    assert netns_topology["r1"].sysctl["net.ipv4.ip_forward"] == "1"
    assert client.sysctl["net.ipv4.ip_forward"] == "0"


@pytest.mark.netns_topology("a -- b")
def test_every_address_is_there_from_the_start(netns_topology: Topology) -> None:
    for name in netns_topology:
        flags = {one.get("address"): one.get("flags") for one in netns_topology[name].ipr.get_addr()}
        assert netns_topology[name].ip6 in flags
        assert not any((number or 0) & 0x40 for number in flags.values()), "IFA_F_TENTATIVE"


@pytest.mark.netns_topology("a -- b -- c")
def test_a_name_that_is_no_node(netns_topology: Topology) -> None:
    with pytest.raises(KeyError, match="there is no 'd' in the network, which has a, b, c"):
        netns_topology["d"]


@pytest.mark.netns_topology("sw [switch]\na -- sw")
def test_a_switch_has_no_address(netns_topology: Topology) -> None:
    with pytest.raises(ValueError, match="switch 'sw' has no address of IPv4"):
        netns_topology["sw"].ip  # noqa: B018
    assert netns_topology["a"].interfaces["eth0"].peer.addresses == []


@pytest.mark.netns_topology("a -- r1 -- b")
def test_an_interface_that_goes_down_comes_up_as_it_was(netns_topology: Topology) -> None:
    net = netns_topology
    for interface in (net["r1"].interfaces["eth1"], net["a"].interfaces["eth0"]):
        interface.down()
        assert not is_reached(net["a"], net["b"], timeout=0.1)  # and so a neighbour that is asked for stays unknown
        interface.up()
        for family in FAMILIES:
            assert is_reached(net["a"], net["b"], family)


@pytest.mark.netns_topology("a -- r1 -- b")
def test_a_host_that_crashes_falls_silent(netns_topology: Topology) -> None:
    net = netns_topology
    assert is_reached(net["a"], net["b"])
    process = net["r1"].popen(["sleep", "1000"])
    net["r1"].crash()
    assert process.wait() == -signal.SIGKILL
    for family in FAMILIES:
        assert not is_reached(net["a"], net["b"], family, timeout=0.1)
    assert net["a"].ipr.link("get", ifname="eth0")[0].get("operstate") == "UP", "its links are silent, not down"


def test_after_its_first_use_nothing_can_be_added(netns_topology: Topology) -> None:
    netns_topology.link("a", "b")
    netns_topology.wait_ready()
    with pytest.raises(TopologyError, match="the network is made already"):
        netns_topology.host("c")


def test_a_network_without_anything(netns_topology: Topology) -> None:
    with pytest.raises(TopologyError, match="the network has no nodes"):
        netns_topology.wait_ready()


def test_a_network_that_is_only_described_is_no_network_yet() -> None:
    net = Topology("a -- b")
    with pytest.raises(TypeError, match="let the test ask for netns_topology, or give it to netns_topology_factory"):
        net["a"]


def test_a_closed_network(netns_topology_factory: MakeTopology) -> None:
    with netns_topology_factory("a -- b") as net:
        host = net["a"]
    assert host.closed
    with pytest.raises(NetNSClosedError, match="the network is closed"):
        net["a"]


def test_what_is_made_already_is_not_made_twice(netns_topology_factory: MakeTopology) -> None:
    with netns_topology_factory("a -- b") as net, pytest.raises(TypeError, match="this network is made already"):
        netns_topology_factory(net)


def test_the_pair_is_the_smallest_network(netns_pair: NetNSPair) -> None:
    left, right = netns_pair
    assert (left, right) == (netns_pair.left, netns_pair.right)
    assert (left.ip, right.ip6) == ("192.0.2.1", "2001:db8::2")


def test_a_limit_that_is_reached_in_the_middle_leaves_nothing(
    netns_topology: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, descriptors = links_of_networks(), len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(build.Builder, "_wait", lambda *_: (_ for _ in ()).throw(OSError(24, "as if there were none")))
    netns_topology.add("sw [switch]\nsw -- {a b c}")
    with pytest.raises(OSError, match="as if there were none"):
        netns_topology.wait_ready()
    assert links_of_networks() == before
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_the_kernel_says_what_it_refuses(make_netns: MakeNetNS) -> None:
    request = Request(rtnetlink.RTM_NEWLINK, rtnetlink.link(7, netlink.attribute(3, b"\0")), "a link")
    channel = Channel(make_netns("lab"))
    with pytest.raises(NetNSUnsupportedError, match=r"cannot make a link \(Unknown device type\): ENOTSUP"):
        channel.send([request], syscalls.monotonic() + 10)


@pytest.mark.netns_topology("client -- r1 -- r2 -- server")
def test_the_hops_to_an_address(netns_topology: Topology) -> None:
    net = netns_topology
    for goal in ("server", net["server"].ip, net["server"].ip6):
        assert net["client"].route_to(goal) == ["r1", "r2", "server"]
    assert net["client"].route_to("client") == []
    net["r2"].interfaces["eth1"].down()
    with pytest.raises(
        NetNSOSError, match=r"the way to server ends at 'r2', after r1, r2: there is no route to 10.0.3.2"
    ):
        net["client"].route_to("server")


@pytest.mark.netns_topology("client -- r1 -- server")
def test_hops_that_lead_in_a_circle_or_to_nobody(netns_topology: Topology) -> None:
    net = netns_topology
    with pytest.raises(
        NetNSOSError, match=r"the way to 10.0.1.9 ends here: the route goes directly on eth0 .*no host of"
    ):
        net["client"].route_to("10.0.1.9")
    with pytest.raises(NetNSOSError, match=r"ends at 'r1', after r1: there is no route to 203.0.113.1"):
        net["client"].route_to("203.0.113.1")
    net["r1"].ipr.route("add", dst="203.0.113.0/24", gateway=net["client"].ip)
    with pytest.raises(NetNSOSError, match=r"after r1: the route goes through 10.0.1.1 .*which is back to client"):
        net["client"].route_to("203.0.113.1")


@pytest.mark.netns_topology("client -- r1 -- server")
def test_hops_of_which_a_test_has_added_the_address(netns_topology: Topology) -> None:
    client, r1 = netns_topology["client"], netns_topology["r1"]
    for router, interface in ((r1, "eth0"), (client, "eth0")):
        index = router.interfaces[interface].index
        router.ipr.addr("add", index=index, address=f"203.0.113.{index}", prefixlen=24)
    client.ipr.route("replace", dst="default", gateway=f"203.0.113.{r1.interfaces['eth0'].index}")
    assert client.route_to("server") == ["r1", "server"]


@pytest.mark.netns_topology("client -- r1 -- server")
def test_hops_with_link_local_addresses(netns_topology: Topology) -> None:
    client, server = netns_topology["client"], netns_topology["server"]
    index = netns_topology["r1"].interfaces["eth0"].index
    (router,) = netns_topology["r1"].ipr.get_addr(index=index, scope=253)  # RT_SCOPE_LINK
    oif = client.interfaces["eth0"].index
    client.ipr.route("replace", family=socket.AF_INET6, dst="default", gateway=router.get("address"), oif=oif)
    assert client.route_to(server.ip6) == ["r1", "server"]


@pytest.mark.netns_topology("client -- r1 -- server")
def test_who_is_not_reached_is_told_where_the_way_ends(netns_topology: Topology) -> None:
    net = netns_topology
    net["r1"].interfaces["eth1"].down()
    with pytest.raises(AssertionError, match=r"by the routes: client -> r1; there, there is no route to 10.0.2.2"):
        net["client"].reach(net["server"].ip, timeout=0.2)


def test_it_may_take_as_long_to_be_ready_as_a_child_for_one_step(netns_topology: Topology) -> None:
    """That is what users raise where a machine is slow."""
    netns_topology.add("a -- b -- c")
    assert netns_topology._ready_timeout() == 10.1
    netns_topology["b"].child_timeout = 60
    assert netns_topology._ready_timeout() == 60.1
