"""net.partition(): groups of nodes that do not hear of each other, and nobody says so."""

from __future__ import annotations

import contextlib
import itertools
import socket
from collections.abc import Iterator

import pytest

from pytest_netns import Host, NetNSError, Topology, TopologyError
from tests.topology.test_topology import FAMILIES, address_of, is_reached, reaches_all

pytestmark = [pytest.mark.core, pytest.mark.second_kernel]

SOON = 0.05  # seconds for a datagram that is to be lost, which it is at once
CASES = {
    "a link": ("a -- b", [{"a"}, {"b"}]),
    "a switch": ("sw [switch]\nsw -- {a b c d}", [{"a", "b"}, {"c"}]),
    "three groups": ("sw [switch]\nsw -- {a b c d}", [{"a"}, {"b"}, {"c"}]),
    "a router of a group": ("a -- r1 -- b", [{"a", "r1"}, {"b"}]),
    "a router of none": ("a -- r1 -- b\nr1 -- c", [{"a"}, {"b"}]),
    "routers of none, and another way": ("a -- r1 -- r2 -- b\nr1 -- r3 -- r2\nr2 -- c\nr1 -- d", [{"a"}, {"b"}]),
    "transit": ("c -- r1 -- r2 -- b", [{"r1"}, {"b"}]),
    "behind a router of a group": ("c -- r1 -- r2 -- b\nr1 -- a", [{"a", "r1"}, {"b"}]),
    "switches": ("s1, s2 [switch]\ns1 -- s2\ns1 -- {a b}\ns2 -- {c d}", [{"a", "s1", "b"}, {"s2", "c", "d"}]),
    "switches between": ("s1, s2 [switch]\ns1 -- s2\ns1 -- {a b}\ns2 -- {c d}", [{"a"}, {"b", "c"}]),
    "a switch and a router": ("sw [switch]\nsw -- {a b r1}\nr1 -- c\nr1 [router]", [{"a"}, {"c", "b"}]),
}


def pairs(net: Topology) -> Iterator[tuple[Host, Host]]:
    return itertools.permutations([net[name] for name in net if net[name].kind != "switch"], 2)


def are_apart(one: Host, other: Host, groups: list[set[str]]) -> bool:
    sides = [next((group for group in groups if host.label in group), None) for host in (one, other)]
    return None not in sides and sides[0] is not sides[1]


@pytest.mark.parametrize("case", CASES)
def test_only_nodes_of_two_groups_are_apart(netns_topology: Topology, case: str) -> None:
    net, (text, groups) = netns_topology, CASES[case]
    net.add(text)
    assert reaches_all(net)
    net.partition(*groups)
    for family in FAMILIES:
        for one, other in pairs(net):
            apart = are_apart(one, other, groups)
            assert is_reached(one, other, family, SOON if apart else 20) != apart, (one, other, family)
    net.heal()
    assert reaches_all(net)


@pytest.mark.netns_topology("c -- r1 -- b")
def test_a_link_between_two_groups_carries_nothing_of_others_either(netns_topology: Topology) -> None:
    net = netns_topology
    net.partition({"r1"}, {"b"})
    assert not is_reached(net["c"], net["b"], timeout=SOON)
    assert is_reached(net["c"], net["r1"])


@pytest.mark.netns_topology("sw [switch]\nsw -- {a b c}")
def test_calls_add_up(netns_topology: Topology) -> None:
    net = netns_topology
    net.partition({"a"}, {"b"})
    net.partition({"a"}, ["c"])
    for one, other in pairs(net):
        apart = "a" in (one.label, other.label)
        assert is_reached(one, other, timeout=SOON if apart else 20) != apart, (one, other)
    net.heal()
    assert reaches_all(net)
    net.heal()


@pytest.mark.netns_topology("a -- r1 -- b\nr1 -- c")
def test_a_reset_ends_partitions(netns_topology: Topology) -> None:
    net = netns_topology
    net.partition({"a"}, {"b"})
    net.partition({"a", "r1"}, {"c"})
    net.reset()
    assert reaches_all(net)
    net.partition({"a"}, {"b"})
    assert not is_reached(net["a"], net["b"], timeout=SOON)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("text", ["a -- b", "a -- r1 -- b", "sw [switch]\nsw -- {a b}"])
def test_nobody_is_told(netns_topology: Topology, text: str, family: int) -> None:
    net = netns_topology
    net.add(text)
    near = "r1" if "r1" in net else "a"
    for name in {"a", near}:  # so that who has to ask for a neighbour gives up in no time
        for version, interface in itertools.product(("ipv4", "ipv6"), net[name].interfaces):
            net[name].sysctl[f"net.{version}.neigh.{interface}.retrans_time_ms"] = 10
    net.partition({"a", near}, {"b"})
    level, errors = (0, 11) if family == socket.AF_INET else (41, 25)  # IP_RECVERR, IPV6_RECVERR
    with net["a"].socket(family, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(level, errors, 1)
        sock.connect((address_of(net["b"], family), 53))
        sock.settimeout(0.3)
        for _ in range(3):
            sock.send(b"vanishes")
        with pytest.raises(TimeoutError):
            sock.recv(10)
    for name in net:
        states = {link.get("ifname"): link.get("operstate") for link in net[name].ipr.get_links()}
        assert all(states[interface] == "UP" for interface in net[name].interfaces)


@pytest.mark.parametrize("text", ["a -- b", "sw [switch]\nsw -- {a b c}", "a -- r1 -- b\nr1 -- c"])
def test_nothing_arrives(netns_topology: Topology, text: str) -> None:
    """What tcpdump would see at one side, which comes before most filters."""
    net = netns_topology
    net.add(text)
    net.partition({"a"}, {"b"})
    forbidden = [bytes.fromhex(net["a"].interfaces["eth0"].mac.replace(":", "")), socket.inet_aton(net["a"].ip)]
    with net["b"].socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) as tap:
        for family in FAMILIES:
            assert not is_reached(net["a"], net["b"], family, SOON)
        with net["a"].socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
            sock.bind(("eth0", 0))
            sock.send(b"\xff" * 6 + forbidden[0] + b"\x08\x06" + bytes(46))  # a broadcast
        if "c" in net:
            assert is_reached(net["c"], net["b"])
        tap.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while frame := tap.recv(2000):
                assert not any(one in frame for one in forbidden)


@pytest.mark.netns_topology("a -- r1 -- b")
def test_addresses_that_a_test_has_added_are_cut_too(netns_topology: Topology) -> None:
    net = netns_topology
    net["b"].ipr.addr("add", index=net["b"].interfaces["eth0"].index, address="192.0.2.1", prefixlen=32)
    net["r1"].ipr.route("add", dst="192.0.2.1/32", gateway=net["b"].ip)
    net.partition({"a"}, {"b"})
    with net["a"].socket(type=socket.SOCK_DGRAM) as client, net["b"].socket(type=socket.SOCK_DGRAM) as server:
        server.bind(("192.0.2.1", 53))
        server.settimeout(SOON)
        client.sendto(b"x", ("192.0.2.1", 53))
        with pytest.raises(TimeoutError):
            server.recv(10)
        net.heal()
        client.sendto(b"y", ("192.0.2.1", 53))
        server.settimeout(20)
        assert server.recv(10) == b"y"


@pytest.mark.netns_topology("a -- r1 -- b")
def test_what_a_host_sends_is_cut_whatever_address_it_has_taken_since(netns_topology: Topology) -> None:
    net = netns_topology
    net.partition({"a"}, {"b"})
    net["a"].ipr.addr("add", index=net["a"].interfaces["eth0"].index, address="192.0.2.1", prefixlen=32)
    with net["a"].socket(type=socket.SOCK_DGRAM) as client, net["b"].socket(type=socket.SOCK_DGRAM) as server:
        client.bind(("192.0.2.1", 0))
        server.bind((net["b"].ip, 53))
        client.sendto(b"x", (net["b"].ip, 53))
        server.settimeout(SOON)
        with pytest.raises(TimeoutError):
            server.recv(10)


@pytest.mark.netns_topology("a -- r1 -- b\nr1 -- c")
def test_links_that_a_test_has_added_are_cut_too(netns_topology: Topology) -> None:
    net = netns_topology
    a, b = net["a"], net["b"]
    for other, number in ((b, 1), (net["c"], 2)):
        name = f"v{number}"
        a.ipr.link("add", ifname=name, kind="veth", peer={"ifname": name, "net_ns_fd": other.fileno()})
        for end, host in enumerate((a, other), 1):
            index = host.ipr.link_lookup(ifname=name)[0]
            host.ipr.link("set", index=index, state="up")
            host.ipr.addr("add", index=index, address=f"192.0.{number}.{end}", prefixlen=24)
    assert arrives(a, b, "192.0.1.2")
    net.partition({"a"}, {"b"})
    assert not arrives(a, b, "192.0.1.2", SOON)
    assert not arrives(b, a, "192.0.1.1", SOON)
    assert arrives(a, net["c"], "192.0.2.2")
    net.heal()
    assert arrives(b, a, "192.0.1.1")


def arrives(one: Host, other: Host, address: str, timeout: float = 20) -> bool:
    with one.socket(type=socket.SOCK_DGRAM) as client, other.socket(type=socket.SOCK_DGRAM) as server:
        server.bind((address, 53))
        server.settimeout(timeout)
        client.sendto(b"x", (address, 53))
        try:
            return server.recv(10) == b"x"
        except TimeoutError:
            return False


@pytest.mark.heavy
@pytest.mark.netns_topology(
    "sw [switch]\nsw -- {" + " ".join(f"h{number}" for number in range(120)) + " r}\nr -- far\nr [router]"
)
def test_more_addresses_than_one_program_has_room_for(netns_topology: Topology) -> None:
    net = netns_topology
    net.partition({"far", "h0"}, {f"h{number}" for number in range(1, 120)})
    for family in FAMILIES:
        for name in ("h1", "h99", "h100", "h101", "h119"):
            assert not is_reached(net["far"], net[name], family, SOON)
            assert not is_reached(net[name], net["h0"], family, SOON)
    assert is_reached(net["far"], net["r"])
    assert is_reached(net["h1"], net["h119"])
    assert is_reached(net["h0"], net["far"])
    net.heal()
    net.partition({f"h{number}" for number in range(60)}, {f"h{number}" for number in range(60, 120)})
    assert not is_reached(net["h0"], net["h119"], timeout=SOON)
    assert is_reached(net["h60"], net["h119"])


@pytest.mark.netns_topology("a -- r1 -- b")
def test_an_ingress_qdisc_of_the_test_is_in_the_way(netns_topology: Topology) -> None:
    net = netns_topology
    net["r1"].ipr.tc("add", "ingress", net["r1"].interfaces["eth1"].index, 0xFFFF0000)
    with pytest.raises(NetNSError, match=r"the filter of a partition at eth1 of 'r1'.*no such qdisc there"):
        net.partition({"a"}, {"b"})
    assert is_reached(net["a"], net["b"])
    net.reset()
    net.partition({"a"}, {"b"})
    assert not is_reached(net["a"], net["b"], timeout=SOON)


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ([{"a"}], "a partition has two groups or more"),
        ([{"a"}, set()], "a group is empty"),
        ([{"a"}, {"bb"}], "there is no 'bb' in the network\n.*did you mean 'b'"),
        ([{"a"}, {"b", "a"}], "'a' is in two groups"),
        ([{"s1"}, {"d"}], "between the switch 's1' and 'd' is 's2', which is on the side of 's1' or on none"),
        ([{"s1", "s2"}, {"d", "b"}], None),
        ([{"s1"}, {"far"}], "'s1' is a switch, and 'far' is beyond a router"),
    ],
)
def test_what_cannot_be_a_partition(netns_topology: Topology, groups: list[set[str]], said: str | None) -> None:
    netns_topology.add("s1, s2 [switch]\ns1 -- s2\ns1 -- {a b r}\ns2 -- d\nr -- far\nr [router]")
    if said is None:
        netns_topology.partition(*groups)
        return
    with pytest.raises(TopologyError, match=said):
        netns_topology.partition(*groups)
    assert is_reached(netns_topology["a"], netns_topology["d"])


@pytest.mark.netns_topology("a -- b")
def test_a_group_is_a_set_of_names(netns_topology: Topology) -> None:
    for group in ("a", {netns_topology["a"]}, 1):
        with pytest.raises(TypeError, match="a group is a set of names of nodes"):
            netns_topology.partition(group, {"b"})  # type: ignore[arg-type]


def test_a_network_that_is_not_made_yet_is_made(netns_topology: Topology) -> None:
    netns_topology.add("a -- b")
    netns_topology.heal()
    netns_topology.partition({"a"}, {"b"})
    assert not is_reached(netns_topology["a"], netns_topology["b"], timeout=SOON)
