"""What is worked out about a network: kinds, interfaces, addresses and routes, the same on every run."""

from __future__ import annotations

import pytest

from pytest_netns import TopologyError
from pytest_netns._topology.plan import Plan, Planned
from pytest_netns._topology.planning.planner import make_plan
from pytest_netns._topology.planning.routes import addresses_behind
from pytest_netns._topology.text.reading import parse


def plan_of(text: str) -> Plan:
    return make_plan(parse(text))


def addresses(planned: Planned) -> list[str]:
    return [str(address) for port in planned.ports for address in port.addresses]


def routes(planned: Planned, version: int = 4) -> list[str]:
    found = [route for route in planned.routes if route.to.version == version]
    return [f"{route.to} via {route.via} {route.port.name}" for route in found]


def test_addresses_that_nobody_gave_are_the_next_ones() -> None:
    nodes = plan_of("client -- r1 -- r2 -- server").nodes
    assert addresses(nodes["client"]) == ["10.0.1.1/24", "2001:db8:0:1::1/64"]
    assert addresses(nodes["r1"]) == ["10.0.1.2/24", "2001:db8:0:1::2/64", "10.0.2.1/24", "2001:db8:0:2::1/64"]
    assert addresses(nodes["server"]) == ["10.0.3.2/24", "2001:db8:0:3::2/64"]


def test_the_twelfth_network_has_the_same_digits_in_both_families() -> None:
    nodes = plan_of(" -- ".join(f"r{number}" for number in range(13))).nodes
    assert addresses(nodes["r12"]) == ["10.0.12.2/24", "2001:db8:0:12::2/64"]


def test_interfaces_are_called_in_the_order_of_the_text() -> None:
    nodes = plan_of("a -- r -- b\nr:wan -- c\nr -- d").nodes
    assert [(port.name, port.peer.node.name) for port in nodes["r"].ports] == [
        ("eth0", "a"),
        ("eth1", "b"),
        ("wan", "c"),
        ("eth2", "d"),
    ]


def test_a_name_that_is_given_is_given_to_no_other() -> None:
    nodes = plan_of("a -- b\na -- c:eth0\na:eth0 -- d").nodes
    assert [port.name for port in nodes["a"].ports] == ["eth1", "eth2", "eth0"]


def test_no_two_interfaces_have_the_same_mac_or_index() -> None:
    ports = [port for planned in plan_of("a -- b -- c -- a\nb -- d").nodes.values() for port in planned.ports]
    assert len({port.mac for port in ports}) == len({port.index for port in ports}) == 8


def test_a_network_that_was_given_is_not_picked_for_another_link() -> None:
    nodes = plan_of("a -- b\nb -- c [10.0.0.0/16]\nc -- d").nodes
    assert addresses(nodes["a"]) == ["10.1.0.1/24", "2001:db8:0:1::1/64"]
    assert addresses(nodes["d"]) == ["10.1.1.2/24", "2001:db8:0:3::2/64"]


def test_a_given_address_is_taken_at_its_network() -> None:
    nodes = plan_of("sw [switch]\nweb [192.0.2.80 192.0.2.1]\nsw -- {a web b} [192.0.2.0/24]").nodes
    assert addresses(nodes["web"]) == ["192.0.2.80/24", "192.0.2.1/24", "2001:db8:0:1::2/64"]
    assert [addresses(nodes[name])[0] for name in "ab"] == ["192.0.2.2/24", "192.0.2.3/24"]


def test_a_lan_of_many_hosts_has_a_network_that_is_large_enough() -> None:
    plan = plan_of("sw [switch]\nsw -- {" + " ".join(f"h{number}" for number in range(1000)) + "}\nh0 -- x")
    assert addresses(plan.nodes["h999"]) == ["10.0.7.232/22", "2001:db8:0:1::3e8/64"]
    assert addresses(plan.nodes["x"])[0] == "10.0.8.2/24"


def test_who_has_no_ipv6() -> None:
    nodes = plan_of("a [ipv6=off]\na -- r -- b").nodes
    assert addresses(nodes["a"]) == ["10.0.1.1/24"]
    assert routes(nodes["a"], 6) == []
    assert routes(nodes["b"], 6) == ["::/0 via 2001:db8:0:2::1 eth0"]


def test_a_kernel_without_ipv6() -> None:
    nodes = make_plan(parse("a -- r -- b"), has_ipv6=False).nodes
    assert addresses(nodes["r"]) == ["10.0.1.2/24", "10.0.2.1/24"]


def test_a_host_has_a_default_route_and_a_router_one_for_each_network() -> None:
    nodes = plan_of("client -- r1 -- r2 -- server").nodes
    assert routes(nodes["client"]) == ["0.0.0.0/0 via 10.0.1.2 eth0"]
    assert routes(nodes["r1"]) == ["10.0.3.0/24 via 10.0.2.2 eth1"]
    assert routes(nodes["r1"], 6) == ["2001:db8:0:3::/64 via 2001:db8:0:2::2 eth1"]


def test_a_host_with_two_links_knows_which_network_is_where() -> None:
    nodes = plan_of("host -- r1 -- a\nr1 -- b\nhost -- r2 -- c").nodes
    assert routes(nodes["host"]) == ["0.0.0.0/0 via 10.0.1.2 eth0", "10.0.5.0/24 via 10.0.4.2 eth1"]


def test_a_host_does_not_forward() -> None:
    nodes = plan_of("a -- host\nhost -- b").nodes
    assert nodes["host"].kind == "host"
    assert routes(nodes["a"]) == routes(nodes["host"]) == []


def test_the_shortest_way_is_taken_and_of_equals_the_first() -> None:
    nodes = plan_of("r1 -- r2 -- r3 -- r4 -- r1\nr1 -- a\nr3 -- b").nodes
    assert [planned.kind for planned in nodes.values()] == ["router"] * 4 + ["host"] * 2
    to_b = [route for route in routes(nodes["r1"]) if route.startswith("10.0.6.0/24")]
    assert to_b == ["10.0.6.0/24 via 10.0.1.2 eth0"]


def test_who_is_to_find_routes_has_none() -> None:
    nodes = plan_of("r1, r2 [router routes=off]\na -- r1 -- r2 -- b").nodes
    assert routes(nodes["r1"]) == routes(nodes["r2"]) == []
    assert routes(nodes["a"]) == ["0.0.0.0/0 via 10.0.1.2 eth0"]


def test_vlans_are_segments_of_their_own() -> None:
    text = """
        sw1, sw2 [switch]
        a1 -- [access=10] -- sw1 -- [trunk=10,20] -- sw2 -- [access=10] -- a2
        b1 -- [access=20] -- sw1
        sw2 -- [access=20] -- b2
    """
    plan = plan_of(text)
    assert [[port.node.name for port in segment.ports] for segment in plan.segments] == [["a1", "a2"], ["b1", "b2"]]
    assert addresses(plan.nodes["b2"])[0] == "10.0.2.2/24"


def test_switches_have_no_address() -> None:
    plan = plan_of("sw1, sw2 [switch]\na -- sw1 -- sw2 -- b")
    assert addresses(plan.nodes["sw1"]) == []
    assert addresses(plan.nodes["b"])[0] == "10.0.1.2/24"


@pytest.mark.parametrize("kind", ["full-cone", "restricted", "port-restricted", "symmetric", "cgnat"])
def test_a_way_leads_out_through_a_nat_and_never_in(kind: str) -> None:
    nodes = plan_of(f"n [nat kind={kind}]\na -- r1 -- n -- r2 -- b").nodes
    assert routes(nodes["a"]) == ["0.0.0.0/0 via 10.0.1.2 eth0"]
    assert routes(nodes["r1"]) == ["10.0.3.0/24 via 10.0.2.2 eth1", "10.0.4.0/24 via 10.0.2.2 eth1"]
    assert routes(nodes["n"]) == ["10.0.1.0/24 via 10.0.2.1 eth0", "10.0.4.0/24 via 10.0.3.2 eth1"]
    assert routes(nodes["r2"]) == []
    assert routes(nodes["b"]) == ["0.0.0.0/0 via 10.0.4.1 eth0"]
    assert routes(nodes["r2"], 6) == [
        "2001:db8:0:2::/64 via 2001:db8:0:3::1 eth0",
        "2001:db8:0:1::/64 via 2001:db8:0:3::1 eth0",
    ]


def test_a_way_leads_in_through_a_nat_that_does_not_translate() -> None:
    nodes = plan_of("n [nat kind=none]\na -- n -- b").nodes
    assert routes(nodes["b"]) == ["0.0.0.0/0 via 10.0.2.1 eth0"]


def test_the_interface_outside_is_the_last_or_the_one_that_is_named() -> None:
    last = plan_of("n [nat]\na -- n -- b").nodes
    assert (routes(last["a"]), routes(last["b"])) == (["0.0.0.0/0 via 10.0.1.2 eth0"], [])
    named = plan_of("n [nat outside=eth0]\na -- n -- b").nodes
    assert (routes(named["a"]), routes(named["b"])) == ([], ["0.0.0.0/0 via 10.0.2.1 eth0"])


def test_who_is_behind_a_nat() -> None:
    text = """
        isp, home, other [nat]
        lan [switch]
        {a b} -- lan -- home -- isp -- server
        lan -- other -- elsewhere
        lan -- r -- c
    """
    nodes = plan_of(text).nodes
    assert [str(address) for address in addresses_behind(nodes["isp"])] == ["10.0.2.1"]
    behind = {str(address) for address in addresses_behind(nodes["home"])}
    assert behind == {"10.0.1.1", "10.0.1.2", "10.0.1.4", "10.0.1.5", "10.0.5.2", "10.0.5.1"}


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("a -- b [10.0.0.0/24]\nb -- c [10.0.0.128/25]", "the network 10.0.0.128/25 overlaps with 10.0.0.0/24", 2),
        ("a -- b [10.0.0.0/24]\nb -- c [10.0.0.0/24]", "the network 10.0.0.0/24 overlaps with 10.0.0.0/24", 2),
        ("sw [switch]\nsw -- {a b c} [192.0.2.0/30]", "192.0.2.0/30 has too few addresses for 3 that are needed", 2),
        ("a [192.0.2.1 192.0.2.2]\na -- b [192.0.2.0/30]", "192.0.2.0/30 has too few addresses for 3", 2),
        ("a [192.0.2.1 192.0.2.2 192.0.2.3]\na -- b [192.0.2.0/30]", "192.0.2.3 is the broadcast address", 1),
        (
            "a [192.0.2.1 192.0.2.2 192.0.2.3 192.0.2.4 192.0.2.5 192.0.2.6]\na -- b [192.0.2.0/29]",
            "192.0.2.0/29 has too few addresses for 7",
            2,
        ),
        ("a [192.0.2.1]\na -- b", "192.0.2.1 is in no network of 'a', whose links have 10.0.1.0/24", 1),
        ("a [192.0.2.1]", "192.0.2.1 is in no network of 'a', whose links have none", 1),
        ("a, b [192.0.2.1]\na -- b [192.0.2.0/24]", "192.0.2.1 is that of 'a' already", 1),
        ("a [192.0.2.0]\na -- b [192.0.2.0/24]", "192.0.2.0 is the address of the network", 1),
        ("a [192.0.2.255]\na -- b [192.0.2.0/24]", "192.0.2.255 is the broadcast address of 192.0.2.0/24", 1),
        ("s1, s2, s3 [switch]\ns1 -- s2 -- s3 -- s1", "this link closes a ring of switches", 2),
        ("s1, s2 [switch]\ns1 -- s2\ns1 -- s2", "this link closes a ring of switches", 3),
        ("a -- b [access=10]", "access= is a setting of a link at a switch", 1),
        ("a -- b [trunk=10]", "trunk= is a setting of a link at a switch", 1),
        ("sw [switch]\na -- [trunk=10,20] -- sw", "a trunk joins two switches, not a host and a switch", 2),
        (
            "sw [switch]\nsw -- a [10.0.0.0/24]\nsw -- b [10.0.1.0/24]",
            "this link belongs to the network 10.0.0.0/24",
            3,
        ),
        ("n [nat]\na -- n", "n is a NAT with one interface", 1),
        ("n [nat]", "n is a NAT with no interface", 1),
        ("n [nat outside=wan]\na -- n -- b", "n has no interface wan", 1),
        ("n [nat outside=eth0]\na -- n", "n is a NAT with one interface", 1),
        (
            "n [nat kind=cgnat]\nsw [switch]\nsw -- {"
            + " ".join(f"h{number}" for number in range(1008))
            + " n}\nn -- b",
            "n has ports for 1007 hosts, and 1008 are inside",
            1,
        ),
    ],
)
def test_what_cannot_be_is_said_with_its_place(text: str, message: str, line: int) -> None:
    with pytest.raises(TopologyError) as raised:
        plan_of(text)
    assert raised.value.message.startswith(message)
    assert raised.value.line == line
    assert "^" in str(raised.value)
