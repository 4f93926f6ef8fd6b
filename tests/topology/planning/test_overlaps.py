"""Networks with the same addresses, which NATs keep apart."""

from __future__ import annotations

import socket

import pytest

from pytest_netns import Host, Nat, NetNSOSError, Topology, TopologyError
from pytest_netns._topology.planning.planner import make_plan
from pytest_netns._topology.text.reading import parse
from tests.topology.naming.test_topology_names import looked_up

pytestmark = [pytest.mark.core, pytest.mark.netns_requires("nat")]

HOMES = """
    home1, home2 [nat]
    internet [switch]
    a -- [192.168.1.0/24] -- home1 -- internet
    b -- [192.168.1.0/24] -- home2 -- internet
    internet -- server
"""


@pytest.fixture
def homes(netns_topology: Topology) -> Topology:
    netns_topology.add(HOMES)
    netns_topology.wait_ready()
    return netns_topology


def outside_of(home: Host) -> str:
    assert isinstance(home, Nat)
    return str(home.outside.addresses[0].ip)


def test_two_homes_have_the_same_addresses(homes: Topology) -> None:
    net = homes
    assert net["a"].ip == net["b"].ip == "192.168.1.1"
    listening = net["server"].create_server((net["server"].ip, 80))
    for name, home in (("a", net["home1"]), ("b", net["home2"])):
        with net[name].create_connection(("server", 80), timeout=20, source_address=("192.168.1.1", 0)):
            connection, address = listening.accept()
            connection.close()
            assert address[0] == outside_of(home)


def test_a_name_never_leads_to_another_host_with_its_address(homes: Topology) -> None:
    net = homes
    for name, home, other in (("a", "home1", "b"), ("b", "home2", "a")):
        assert looked_up(net, home, name) == looked_up(net, name, name) == ["192.168.1.1", net[name].ip6]
        assert looked_up(net, name, other) == [net[other].ip6]
        assert looked_up(net, "server", name) == [net[name].ip6]
        inside = next(port for port in net[home].interfaces.values() if port.peer.host is net[name]).addresses
        assert "192.168.1.2" in {str(one.ip) for one in inside}
        assert "192.168.1.2" in looked_up(net, name, home)
        assert "192.168.1.2" not in looked_up(net, other, home)
        assert looked_up(net, "server", home)[0] == outside_of(net[home])


def test_hops_lead_to_the_host_that_is_meant(homes: Topology) -> None:
    net = homes
    assert net["home1"].route_to("a") == net["home1"].route_to("192.168.1.1") == ["a"]
    assert net["home2"].route_to("b") == net["home2"].route_to("192.168.1.1") == ["b"]
    assert net["a"].route_to("b") == ["home1", "home2", "b"]  # by IPv6
    assert net["a"].route_to("server") == ["home1", "server"]


def test_a_host_without_an_address_of_its_own_is_not_found_elsewhere(netns_topology: Topology) -> None:
    net = netns_topology
    net.add(f"b [host ipv6=off]\n{HOMES}")
    with pytest.raises(NetNSOSError, match="'b' has no address that is not one of others here too"):
        net["a"].route_to("b")
    with pytest.raises(socket.gaierror):
        net["a"].create_connection(("b", 80), timeout=0.1)
    assert net["home2"].route_to("b") == ["b"]


def test_an_address_that_a_home_takes_later_is_found_by_all(homes: Topology) -> None:
    net, home = homes, homes["home1"]
    assert isinstance(home, Nat)
    before = outside_of(home)
    home.rebind(address=True)
    assert outside_of(home) != before
    for name in ("a", "b", "server", "home2"):
        assert outside_of(home) in looked_up(net, name, "home1")
        assert before not in looked_up(net, name, "home1")


def test_who_moves_out_is_found_by_all(netns_topology: Topology) -> None:
    net = netns_topology
    net.add(
        HOMES.replace("b -- [192.168.1.0/24] -- home2", "lan [switch]\nlan -- {b c} [192.168.1.0/24]\nlan -- home2")
    )
    assert looked_up(net, "server", "b") == [net["b"].ip6]
    net["b"].replug("eth0", "internet")
    for name in ("a", "c", "server"):
        assert looked_up(net, name, "b") == [net["b"].ip, net["b"].ip6]
    assert looked_up(net, "a", "c") == looked_up(net, "b", "c") == [net["c"].ip6]
    net.reset()
    assert looked_up(net, "server", "b") == [net["b"].ip6]
    assert looked_up(net, "c", "b") == [net["b"].ip, net["b"].ip6]


def test_a_name_server_serves_all(netns_topology: Topology) -> None:
    pytest.importorskip("dns")
    net = netns_topology
    net.add(HOMES)
    net.dns("server").answer("www.example.com", "A", "192.0.2.80")
    for name in ("a", "b", "home1"):
        assert looked_up(net, name, "www.example.com") == ["192.0.2.80"]


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        ([{"a", "home1"}, {"b", "home2"}], "'home1' and 'home2' have the same address, 192.168.1.2"),
        ([{"a"}, {"server"}], "'a' and 'b' have the same address, 192.168.1.1"),
        ([{"a", "b"}, {"server"}], None),
    ],
)
def test_a_partition_tells_packets_by_addresses(homes: Topology, groups: list[set[str]], said: str | None) -> None:
    if said is None:
        homes.partition(*groups)
    else:
        with pytest.raises(TopologyError, match=said):
            homes.partition(*groups)


def test_the_text_of_it_is_the_same_network(homes: Topology) -> None:
    assert parse(homes.text) == parse(HOMES)
    assert [str(port) for port in make_plan(parse(homes.text)).nodes["b"].ports] == ["eth0 of 'b'"]


@pytest.mark.parametrize(
    ("text", "who", "line"),
    [
        ("a -- [10.0.0.0/24] -- r -- [10.0.0.0/24] -- b", "r", 1),
        ("h -- a [10.0.0.0/24]\nh -- b [10.0.0.0/25]", "h", 2),
        ("n [nat]\na -- [10.0.0.0/24] -- n -- [10.0.0.0/24] -- b", "n", 2),
        ("n [nat]\na -- [10.0.0.0/24] -- n -- r -- b [10.0.0.0/24]", "n", 2),
        ("n, m [nat]\na -- [10.0.0.0/24] -- n -- m -- b [10.0.0.0/8]", "n", 2),
        ("n [nat]\nm [nat kind=none]\na -- [10.0.0.0/24] -- n -- s\nb -- [10.0.0.0/24] -- m -- s\ns [router]", "n", 4),
        ("n, m [nat]\na -- [2001:db8::/64] -- n -- s\nb -- [2001:db8::/64] -- m -- s\ns [router]", "n", 3),
        ("r [router routes=off]\na -- r [10.0.0.0/24]\nb -- r [10.0.0.0/24]", "r", 3),
    ],
)
def test_who_would_have_routes_to_both_is_named(text: str, who: str, line: int) -> None:
    with pytest.raises(TopologyError) as raised:
        make_plan(parse(text))
    assert raised.value.message.endswith(f"of another link, and {who} is to reach both")
    assert raised.value.line == line
    assert "^" in str(raised.value)
    assert "each is behind a NAT of its own" in str(raised.value)


@pytest.mark.parametrize(
    "text",
    [
        HOMES,
        "n, m [nat]\na -- [10.0.0.0/8] -- n -- s\nb -- [10.0.0.0/24] -- m -- s\ns [router]",
        "n, m, o [nat]\na -- [10.0.0.0/24] -- n -- m -- s\nb -- [10.0.0.0/24] -- o -- s\ns [router]",
        "a -- b [10.0.0.0/24]\nc -- d [10.0.0.0/24]",
        "sw [switch]\na -- [access=1 10.0.0.0/24] -- sw\nb -- [access=2 10.0.0.0/24] -- sw",
    ],
)
def test_what_nobody_would_confuse_may_overlap(text: str) -> None:
    make_plan(parse(text))
