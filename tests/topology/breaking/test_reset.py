"""net.reset(): a network that outlives a test is as it was when it was ready."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from pytest_netns import Host, MakeTopology, NetNSError, NetNSLeakError, Topology
from pytest_netns._linux import rtnetlink, syscalls
from pytest_netns._netns import nftables
from pytest_netns._topology.breaking import mended_links, state
from pytest_netns._topology.making.channel import Channel
from pytest_netns._topology.making.requests import Request
from tests.support.helpers import eventually
from tests.topology.test_topology import FAMILIES, is_reached, reaches_all

pytestmark = [pytest.mark.core, pytest.mark.second_kernel]
NFT = shutil.which("nft", path=f"/usr/bin:{nftables.FOLDERS}")

TEXT = "client -- r1 -- server\nsw [switch]\nsw -- {x y r1}"


@pytest.fixture
def net(netns_topology: Topology) -> Topology:
    netns_topology.add(TEXT)
    netns_topology.wait_ready()
    return netns_topology


def seen(net: Topology) -> list[object]:
    """Return what the kernel tells of a network, without what changes by itself."""
    found: list[object] = []
    for name in net:
        channel = Channel(net[name])
        whole = state.look(channel, syscalls.monotonic() + 60)
        channel.close()
        found.append(mended_links.read(whole.links))
        for kind, bodies in zip(state.KINDS, whole.others, strict=True):
            found.append({kind.key(body) for body in bodies})
    return found


def index_of(host: Host, name: str = "eth0") -> int:
    return host.interfaces[name].index


def write_through_a_command(host: Host, path: str, value: str) -> None:
    host.run(["sh", "-c", f"echo {value} > /proc/sys/{path}"], check=True)


def take_both_ends_down(net: Topology) -> None:
    for name in ("client", "r1"):
        net[name].interfaces["eth0"].down()


def rename(net: Topology) -> None:
    for change in ({"state": "down"}, {"ifname": "wan"}, {"state": "up"}):
        net["client"].ipr.link("set", index=index_of(net["client"]), **change)


def crash_all(net: Topology) -> None:
    for name in net:
        net[name].crash()


def write_sysctl(host: Host, key: str, *values: int) -> None:
    for value in values:
        host.sysctl[key] = value


CHANGES: dict[str, Callable[[Topology], object]] = {
    "down": lambda net: net["client"].interfaces["eth0"].down(),
    "down at both ends": take_both_ends_down,
    "a port of a switch down": lambda net: net["sw"].interfaces["eth0"].down(),
    "crash": lambda net: net["r1"].crash(),
    "crash of all": crash_all,
    "lo down": lambda net: net["client"].ipr.link("set", index=1, state="down"),
    "an address more": lambda net: net["client"].ipr.addr(
        "add", index=index_of(net["client"]), address="192.0.2.9", prefixlen=24
    ),
    "an address less": lambda net: net["client"].ipr.addr(
        "del", index=index_of(net["client"]), address=net["client"].ip, prefixlen=24
    ),
    "a route more": lambda net: net["client"].ipr.route("add", dst="192.0.2.0/24", gateway=net["r1"].ip),
    "a route less": lambda net: net["server"].ipr.flush_routes(),
    "a blackhole": lambda net: net["r1"].ipr.route("add", dst=f"{net['server'].ip}/32", type="blackhole"),
    "a rule": lambda net: net["client"].ipr.rule("add", table=100, priority=7, action="unreachable"),
    "mtu": lambda net: net["client"].ipr.link("set", index=index_of(net["client"]), mtu=1300),
    "an mtu too small for IPv6": lambda net: net["client"].ipr.link("set", index=index_of(net["client"]), mtu=1000),
    "mac": lambda net: net["client"].ipr.link("set", index=index_of(net["client"]), address="02:00:00:00:aa:aa"),
    "a name": rename,
    "out of the switch": lambda net: net["sw"].ipr.link("set", index=index_of(net["sw"]), master=0),
    "links more": lambda net: net["client"].ipr.link("add", ifname="v0", kind="veth", peer="v1"),
    "a link to another host": lambda net: net["client"].ipr.link(
        "add", ifname="v2", kind="veth", peer={"ifname": "v2", "net_ns_fd": net["server"].fileno()}
    ),
    "a qdisc": lambda net: net["client"].ipr.tc(
        "add", "tbf", index_of(net["client"]), 0x10000, parent=0xFFFFFFFF, rate="1mbit", burst=2000, latency="10ms"
    ),
    "an ingress qdisc": lambda net: net["client"].ipr.tc("add", "ingress", index_of(net["client"]), 0xFFFF0000),
    "a sysctl": lambda net: write_sysctl(net["r1"], "net.ipv4.ip_forward", 0),
    "a sysctl that is written twice": lambda net: write_sysctl(net["r1"], "net.ipv6.conf.all.forwarding", 0, 1, 0),
    "forwarding of IPv4 by a command": lambda net: write_through_a_command(
        net["r1"], "net/ipv4/conf/eth0/forwarding", "0"
    ),
    "a setting of IPv6 by a command": lambda net: write_through_a_command(
        net["client"], "net/ipv6/conf/eth0/hop_limit", "3"
    ),
    "no IPv6, by a command": lambda net: write_through_a_command(net["client"], "net/ipv6/conf/eth0/disable_ipv6", "1"),
    "no IPv6 at all": lambda net: write_sysctl(net["r1"], "net.ipv6.conf.all.disable_ipv6", 1),
    "noarp": lambda net: net["client"].ipr.link("set", index=index_of(net["client"]), flags=0x80, change=0x80),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_a_test_has_changed_is_undone(net: Topology, change: str) -> None:
    before = seen(net)
    CHANGES[change](net)
    assert seen(net) != before
    net.reset()
    assert seen(net) == before
    assert reaches_all(net)


ALONE = {
    "a name",
    "an address less",
    "a route more",
    "crash",
    "crash of all",
    "lo down",
    "an mtu too small for IPv6",
    "no IPv6 at all",
}
"""Changes after which others are impossible."""


def test_all_of_it_at_once(net: Topology) -> None:
    before = seen(net)
    for name in [name for name in CHANGES if name not in ALONE]:
        CHANGES[name](net)
    net.reset()
    assert seen(net) == before
    assert reaches_all(net)


def test_what_has_not_changed_stays(net: Topology) -> None:
    before, hosts = seen(net), [net[name] for name in net]
    for _ in range(3):
        net.reset()
    assert seen(net) == before
    assert [net[name] for name in net] == hosts


def test_neighbours_are_forgotten(net: Topology) -> None:
    assert reaches_all(net)
    client = net["client"]
    client.ipr.neigh("add", dst="10.0.1.77", lladdr="02:00:00:00:00:77", ifindex=index_of(client), state="permanent")
    assert len(known(client)) >= 3
    stranger = "02:00:00:00:00:77"
    with net["x"].socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.bind(("eth0", 0))
        sock.send(bytes.fromhex("ffffffffffff020000000077") + bytes(48))
    eventually(lambda: stranger in learned(net["sw"]), "the switch learns who has sent")
    net.reset()
    assert not known(client)
    assert stranger not in learned(net["sw"])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_mtu_of_a_path_is_forgotten(net: Topology, family: int) -> None:
    """Learned from what a router has answered, it is held beside the route."""
    client, server = net["client"], net["server"]
    assert path_mtu(client, server, family) == 1500
    net["r1"].ipr.link("set", index=index_of(net["r1"], "eth1"), mtu=1300)
    eventually(lambda: path_mtu(client, server, family) == 1300, "the host hears of the smaller MTU")
    net.reset()
    assert path_mtu(client, server, family) == 1500


def path_mtu(client: Host, server: Host, family: int) -> int:
    """Send a packet that is large, and return what the kernel takes for the MTU on the way then."""
    level, discover, mtu = (0, 10, 14) if family == socket.AF_INET else (41, 23, 24)  # <linux/in.h>, <linux/in6.h>
    address = server.ip if family == socket.AF_INET else server.ip6
    for _ in range(2):  # the first tells a host that is new to it
        with client.socket(family, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
            sock.setsockopt(level, discover, 2)
            sock.connect((address, 9))
            sock.send(bytes(1400))
    with client.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect((address, 9))
        return sock.getsockopt(level, mtu)


def known(host: Host) -> list[str]:
    """Return the neighbours that a host has heard of."""
    noarp, failed = 0x40, 0x20
    return [one.get("dst") for one in host.ipr.get_neighbours() if not one["state"] & (noarp | failed)]


def learned(switch: Host) -> list[str]:
    bridge, permanent = 7, 0x80
    found = switch.ipr.get_neighbours(family=bridge)
    return [one.get("lladdr") for one in found if not one["state"] & permanent]


RULES = """
table ip f {
    chain c {
        type filter hook input priority 0
        udp dport 53 drop
    }
}
"""


def apply_or_skip(host: Host, rules: str) -> None:
    applied = host.run([str(NFT), "-f", "-"], input=rules, text=True, capture_output=True)
    if applied.returncode:
        pytest.skip(f"this kernel lacks a part of nftables: {applied.stderr}")


@pytest.mark.netns_requires("nft")
@pytest.mark.skipif(NFT is None, reason="there is no nft; install nftables")
def test_the_firewall_is_taken_away(net: Topology) -> None:
    apply_or_skip(net["server"], RULES)
    assert not is_reached(net["client"], net["server"], timeout=0.1)
    net.reset()
    assert net["server"].run([str(NFT), "list", "ruleset"], stdout=-1, check=True).stdout == b""
    assert is_reached(net["client"], net["server"])


@pytest.mark.netns_requires("nft")
@pytest.mark.skipif(NFT is None, reason="there is no nft; install nftables")
def test_connections_are_forgotten(net: Topology) -> None:
    apply_or_skip(net["server"], RULES.replace("udp dport 53 drop", "ct state new accept"))
    count = "net.netfilter.nf_conntrack_count"
    assert is_reached(net["client"], net["server"])
    assert net["server"].sysctl[count] != "0"
    net.reset()
    assert net["server"].sysctl[count] == "0"


def test_a_sysctl_that_has_gone_with_its_link(net: Topology) -> None:
    client = net["client"]
    client.ipr.link("add", ifname="v0", kind="veth", peer="v1")
    write_sysctl(client, "net.ipv4.conf.v0.forwarding", 1)
    client.ipr.link("del", ifname="v0")
    net.reset()
    assert reaches_all(net)


def test_processes_end_and_sockets_are_closed(net: Topology) -> None:
    client = net["client"]
    process, sock, ipr = client.popen(["sleep", "1000"]), client.socket(), client.ipr
    net.reset()
    assert process.wait() == -signal.SIGTERM
    assert sock.fileno() == -1
    assert ipr.status["closed"]
    assert client.run(["true"]).returncode == 0
    assert client.ipr.link("get", index=1)
    with client.socket() as another:
        assert another.fileno() >= 0


@pytest.mark.needs_thread_inside
def test_a_thread_inside_is_an_error(netns_topology_factory: MakeTopology, monkeypatch: pytest.MonkeyPatch) -> None:
    end = threading.Event()
    net = netns_topology_factory("a -- b")
    monkeypatch.setattr(net["a"], "_thread_timeout", 0.1)
    net["a"]._renew()
    thread = net["a"].thread(target=end.wait, name="guest")
    thread.start()
    try:
        with pytest.raises(NetNSLeakError, match="thread 'guest' still runs"):
            net.reset()
    finally:
        end.set()
        thread.join()
    net.reset()
    assert reaches_all(net)
    net.close()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda net: net["client"].ipr.link("del", index=index_of(net["client"])), "the link eth0 no longer exists"),
        (
            lambda net: net["sw"].ipr.link(
                "set", index=index_of(net["sw"]), net_ns_fd=net["client"].fileno(), ifname="moved"
            ),
            "the link eth0 no longer exists",
        ),
    ],
    ids=["deleted", "moved"],
)
def test_what_cannot_be_undone_is_named(net: Topology, change: Callable[[Topology], object], said: str) -> None:
    change(net)
    with pytest.raises(NetNSError, match=f"{said}.*close the network and make it anew"):
        net.reset()


@pytest.fixture(scope="module")
def lab(netns_topology_factory: MakeTopology) -> Iterator[Topology]:
    with netns_topology_factory("a -- r -- b") as made:
        yield made


@pytest.fixture
def shared(lab: Topology) -> Iterator[Topology]:
    yield lab
    lab.reset()


@pytest.mark.parametrize("turn", range(3))
def test_a_network_of_a_module(shared: Topology, turn: int) -> None:
    for family in FAMILIES:
        assert is_reached(shared["a"], shared["b"], family)
    with shared["b"].socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("", 1000))
    shared["r"].interfaces["eth1"].down()


def test_a_closed_network_is_not_reset(net: Topology) -> None:
    net.close()
    with pytest.raises(NetNSError, match="the network is closed"):
        net.reset()


def test_a_network_that_was_not_used_is_made(netns_topology: Topology) -> None:
    netns_topology.add("a -- b")
    netns_topology.reset()
    assert reaches_all(netns_topology)


def test_what_does_not_become_as_it_was_is_named(net: Topology, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever it is: what was mended is looked at once more."""
    net["client"].ipr.route("add", dst="192.0.2.0/24", gateway=net["r1"].ip)
    send = Channel.send

    def send_all_but_the_end_of_routes(channel: Channel, asked: Sequence[Request], *others: Any) -> None:
        send(channel, [one for one in asked if one.kind != rtnetlink.RTM_DELROUTE], *others)

    monkeypatch.setattr(Channel, "send", send_all_but_the_end_of_routes)
    with pytest.raises(
        NetNSError, match=r"'client': cannot be as it was: the route to 192\.0\.2\.0/24; close the network"
    ):
        net.reset()
