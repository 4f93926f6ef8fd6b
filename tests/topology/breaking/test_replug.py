"""host.replug(): an interface that is plugged in elsewhere."""

from __future__ import annotations

import pytest

from pytest_netns import Host, Topology, TopologyError
from tests.topology.breaking.test_reset import seen
from tests.topology.test_topology import FAMILIES, is_reached, reaches_all

pytestmark = [pytest.mark.core, pytest.mark.second_kernel]

LANS = """
lan1, lan2 [switch]
lan1 -- {client x r1} [192.0.2.0/24]
lan2 -- {y r2} [198.51.100.0/24]
r1 -- r2 -- far
r1, r2 [router]
"""


def addresses(net: Topology, *but: str) -> dict[str, list[str]]:
    """Return the addresses of all interfaces, but for those of some nodes."""
    return {
        f"{name} {interface}": [str(one) for one in net[name].interfaces[interface].addresses]
        for name in net
        if name not in but
        for interface in net[name].interfaces
    }


def of_the_kernel(host: Host, interface: str) -> set[str]:
    index = host.interfaces[interface].index
    found = {f"{one.get('address')}/{one['prefixlen']}" for one in host.ipr.get_addr(index=index)}
    return {one for one in found if not one.startswith("fe80")}


@pytest.mark.netns_topology(LANS)
def test_from_a_switch_to_another(netns_topology: Topology) -> None:
    net = netns_topology
    client, eth0, others = net["client"], net["client"].interfaces["eth0"], addresses(net, "client", "lan1", "lan2")
    before = (eth0.name, eth0.index, eth0.mac, client.ip)
    for _ in range(2):
        client.replug("eth0", "lan2")
        assert net["client"] is client
        assert client.interfaces["eth0"] is eth0
        assert (eth0.name, eth0.index, eth0.mac) == before[:3]
        assert eth0.peer.host is net["lan2"]
        assert eth0.peer.peer is eth0
        assert client.ip.startswith("198.51.100.")
        assert of_the_kernel(client, "eth0") == {str(one) for one in eth0.addresses}
        seen_link = client.ipr.link("get", ifname="eth0")[0]
        assert (seen_link["index"], seen_link.get("address"), seen_link.get("operstate")) == (*before[1:3], "UP")
        assert addresses(net, "client", "lan1", "lan2") == others
        for family in FAMILIES:
            assert is_reached(client, net["far"], family)
        assert reaches_all(net)
        client.replug("eth0", "lan1")
        assert client.ip == before[3]
        assert reaches_all(net)


@pytest.mark.netns_topology("client -- r1 -- server\nr1 -- r2\nr2 -- server\nr2 [router]")
def test_from_a_host_to_another(netns_topology: Topology) -> None:
    net = netns_topology
    gone = net["client"].interfaces["eth0"].peer
    net["client"].replug("eth0", "r2")
    assert net["client"].interfaces["eth0"].peer.host is net["r2"]
    assert gone.name not in net["r1"].interfaces
    assert len(net["r2"].interfaces) == 3
    assert reaches_all(net)
    assert gone.name not in {one.get("ifname") for one in net["r1"].ipr.get_links()}


@pytest.mark.netns_topology("a -- r1 -- r2 -- b\nr2 -- c")
def test_a_router_that_is_replugged_takes_its_hosts_along(netns_topology: Topology) -> None:
    net = netns_topology
    net["r1"].replug("eth1", "c")
    net["a"].interfaces["eth0"].down()
    net["a"].interfaces["eth0"].up()
    for family in FAMILIES:
        assert is_reached(net["a"], net["c"], family)
        assert not is_reached(net["a"], net["b"], family, 0.05)


@pytest.mark.netns_topology("sw [switch]\na -- b\nc -- sw")
def test_to_a_switch_that_has_no_network_yet(netns_topology: Topology) -> None:
    net = netns_topology
    net["a"].replug("eth0", "sw")
    assert is_reached(net["a"], net["c"])
    with pytest.raises(ValueError, match="host 'b' has no address of IPv4"):
        net["b"].ip  # noqa: B018


@pytest.mark.netns_topology(LANS)
def test_the_text_is_that_of_the_network_as_it_is(netns_topology: Topology) -> None:
    net = netns_topology
    before = net.text
    net["client"].replug("eth0", "lan2")
    again = Topology(net.text)
    assert again.text == net.text
    assert [str(one) for one in again._planned().nodes["client"].ports[0].addresses] == [
        str(one) for one in net["client"].interfaces["eth0"].addresses
    ]
    net.reset()
    assert net.text == before


@pytest.mark.netns_topology(LANS)
def test_a_reset_plugs_it_in_where_it_was(netns_topology: Topology) -> None:
    net = netns_topology
    before, eth0 = seen(net), net["client"].interfaces["eth0"]
    for name, interface, to in (("client", "eth0", "lan2"), ("y", "eth0", "r1"), ("client", "eth0", "far")):
        net[name].replug(interface, to)
    net["client"].crash()
    net.reset()
    assert seen(net) == before
    assert net["client"].interfaces["eth0"] is eth0
    assert reaches_all(net)


@pytest.mark.netns_topology("client [mtu=1400]\nlan1, lan2 [switch]\nclient -- lan1\nlan2 -- x")
def test_settings_of_a_node_go_along(netns_topology: Topology) -> None:
    netns_topology["client"].replug("eth0", "lan2")
    assert netns_topology["client"].ipr.link("get", ifname="eth0")[0].get("mtu") == 1400


@pytest.mark.parametrize(
    ("name", "interface", "to", "said"),
    [
        ("client", "eth1", "lan2", "'client' has no interface 'eth1'\nit has eth0; did you mean 'eth0'"),
        ("client", "eth0", "lan3", "there is no 'lan3' in the network\n.*did you mean 'lan"),
        ("client", "eth0", "lan1", "'lan1' is where eth0 is plugged in already"),
        ("client", "eth0", "client", "'client' is the node itself"),
        ("lan1", "eth0", "x", "'lan1' is a switch"),
        ("client", "eth0", "small", "has too few addresses"),
    ],
)
def test_what_cannot_be(netns_topology: Topology, name: str, interface: str, to: str, said: str) -> None:
    net = netns_topology
    net.add(LANS + "small [switch]\nsmall -- {s1 s2} [203.0.113.0/30]")
    before = seen(net)
    with pytest.raises(TopologyError, match=said):
        net[name].replug(interface, to)
    assert seen(net) == before
    with pytest.raises(TypeError, match=r'are names, as in host.replug\("eth0", "lan2"\)'):
        net["client"].replug("eth0", net["lan2"])  # type: ignore[arg-type]


@pytest.mark.netns_topology(LANS)
def test_a_partition_is_healed_first(netns_topology: Topology) -> None:
    net = netns_topology
    net.partition({"client"}, {"far"})
    with pytest.raises(TopologyError, match="a partition lasts"):
        net["client"].replug("eth0", "lan2")
    net.heal()
    net["client"].replug("eth0", "lan2")
    net.partition({"client"}, {"y"})
    assert not is_reached(net["client"], net["y"], timeout=0.05)
    assert is_reached(net["client"], net["far"])


@pytest.mark.netns_requires("vlan")
@pytest.mark.netns_topology("sw, lan [switch]\na -- [access=10] -- sw\nb -- lan")
def test_a_switch_with_vlans(netns_topology: Topology) -> None:
    with pytest.raises(TopologyError, match="'sw' has VLANs"):
        netns_topology["b"].replug("eth0", "sw")
