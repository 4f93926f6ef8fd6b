"""The text form of networks: what it says."""

from __future__ import annotations

import time
from typing import Any

import pytest

from pytest_netns import TopologyError
from pytest_netns._topology.model import Network, Position
from pytest_netns._topology.text.reading import parse, to_text

pytest.importorskip("hypothesis", exc_type=ImportError)  # it has no build for the newest Pythons

from hypothesis import given

from tests.topology.strategies import networks, quick, texts


def links_of(network: Network) -> list[str]:
    return [f"{link.left.node} {link.right.node}" for link in network.links]


@pytest.mark.parametrize(
    ("text", "links", "between"),
    [
        ("client -- server", ["client server"], set()),
        ("client -- r1 -- server", ["client r1", "r1 server"], {"r1"}),
        ("client -- r1 -- [mtu=1400] -- r2 -- server", ["client r1", "r1 r2", "r2 server"], {"r1", "r2"}),
        ("r1 -- r2 -- r3 -- r1", ["r1 r2", "r2 r3", "r3 r1"], {"r1", "r2", "r3"}),
        ("a -- r1 -- r2 -- r3 -- r1", ["a r1", "r1 r2", "r2 r3", "r3 r1"], {"r1", "r2", "r3"}),
        ("sw -- {web db}", ["sw web", "sw db"], set()),
        ("{a b} -- {c d}", ["a c", "a d", "b c", "b d"], set()),
        ("a -- {r1 r2} -- b", ["a r1", "a r2", "r1 b", "r2 b"], {"r1", "r2"}),
        ("{a b} -- r -- {a c}", ["a r", "b r", "r a", "r c"], {"a", "r"}),
        ("a -- b\na -- b", ["a b", "a b"], set()),
        ("a -- b\nb -- c", ["a b", "b c"], set()),
        ("", None, None),
        ("alone", [], set()),
        ("a, b", [], set()),
        ("\n # a comment\n\n\ta -- b# another -- [\r\n", ["a b"], set()),
        ("a\u00a0-- b", ["a b"], set()),
    ],
)
def test_links(text: str, links: list[str] | None, between: set[str] | None) -> None:
    if links is None:
        with pytest.raises(TopologyError, match="no nodes"):
            parse(text)
        return
    network = parse(text)
    assert links_of(network) == links
    assert network.between == between
    assert network.text == text


def test_nodes_are_in_the_order_in_which_they_are_named() -> None:
    assert list(parse("c -- a\nb [host]\na -- d").nodes) == ["c", "a", "b", "d"]


def node_of(text: str) -> dict[str, Any]:
    """Return what a text says about the node ``n``."""
    return {name: value for name, value in vars(parse(text).nodes["n"]).items() if name not in ("at", "places")}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ("host", {"kind": "host"}),
        ("router", {"kind": "router"}),
        ("switch", {"kind": "switch"}),
        ("nat", {"kind": "nat"}),
        ("nat kind=symmetric outside=eth1", {"kind": "nat", "nat": "symmetric", "outside": "eth1"}),
        ("mtu=1400", {"mtu": 1400}),
        ("ipv6=off", {"ipv6": False}),
        ("ipv6=on", {}),
        ("routes=off", {"routes": False}),
        ("routes=on", {}),
        ("net.ipv4.tcp_syncookies=0", {"sysctl": {"net.ipv4.tcp_syncookies": "0"}}),
        ("net/ipv4/ip_forward=1", {"sysctl": {"net/ipv4/ip_forward": "1"}}),
        ('net.ipv4.tcp_rmem="4096 8 9"', {"sysctl": {"net.ipv4.tcp_rmem": "4096 8 9"}}),
        (r'net.ipv4.x="a\"b\\c #]"', {"sysctl": {"net.ipv4.x": 'a"b\\c #]'}}),
        ('net.ipv4.x=""', {"sysctl": {"net.ipv4.x": ""}}),
    ],
)
def test_settings_of_a_node(settings: str, expected: dict[str, Any]) -> None:
    assert node_of(f"n [{settings}]") == {**node_of("n"), **expected}


def test_addresses_of_a_node() -> None:
    assert list(map(str, node_of("n [192.0.2.80 2001:db8::80]")["addresses"])) == ["192.0.2.80", "2001:db8::80"]


def test_settings_of_several_nodes_and_from_several_lines() -> None:
    network = parse("a, n [router mtu=1400]\nn [routes=off]\nn [router]")
    assert network.nodes["a"].kind == network.nodes["n"].kind == "router"
    assert (network.nodes["a"].routes, network.nodes["n"].routes) == (True, False)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a -- b -- c [mtu=1400]", [(1400, None, ()), (1400, None, ())]),
        ("a -- [mtu=1400] -- b -- c", [(1400, None, ()), (None, None, ())]),
        ("a -- [mtu=1300] -- b -- c [mtu=1400 access=5]", [(1300, 5, ()), (1400, 5, ())]),
        ("a -- [trunk=10,20] -- b -- c [access=4094]", [(None, None, (10, 20)), (None, 4094, ())]),
    ],
)
def test_settings_of_links(line: str, expected: list[tuple[object, ...]]) -> None:
    found = [(link.mtu, link.access, link.trunk) for link in parse(line).links]
    assert found == expected


def test_networks_of_a_link() -> None:
    link = parse("a -- b [192.0.2.0/24 2001:db8::/64]").links[0]
    assert list(map(str, link.networks)) == ["192.0.2.0/24", "2001:db8::/64"]


def test_interfaces() -> None:
    left, right = parse("phone:wlan0 -- ap:a-b.c+d@e_f1234").links[0].ends
    assert (left.node, left.interface, right.interface) == ("phone", "wlan0", "a-b.c+d@e_f1234")


def test_positions() -> None:
    text = "  sw [switch mtu=1400]\nsw -- {web:x db} [192.0.2.0/24]"
    network = parse(text)
    lines = text.split("\n")

    def at(position: Position | None) -> str:
        assert position is not None
        return lines[position.line][position.column :][: position.length]

    assert at(network.nodes["sw"].at) == "sw"
    assert at(network.nodes["sw"].places["mtu"]) == "mtu=1400"
    assert at(network.links[0].at) == "sw -- {web:x"
    assert at(network.links[0].right.at) == "web:x"
    assert at(network.links[1].places["192.0.2.0/24"]) == "192.0.2.0/24"


# Back to text


@pytest.mark.parametrize(
    "text",
    [
        "client -- server",
        "client -- r1 -- [mtu=1400] -- r2 -- server",
        "sw [switch]\nsw -- {web db cache} [192.0.2.0/24]",
        "r1 -- r2 -- r3 -- r4 -- r1",
        "a1 -- [access=10] -- sw1 -- [trunk=10,20] -- sw2 -- [access=10] -- a2\nsw1, sw2 [switch]",
        "a -- {r1 r2} -- b",
        "{a b} -- r -- {c d}",
        "phone:wlan0 -- home -- cloud\nhome [nat kind=symmetric]",
        "sw -- a\nsw -- b -- c",
        "alone, other",
        'n [host 192.0.2.1 net.ipv4.tcp_rmem="1 2 3"]',
    ],
)
def test_what_is_well_written_is_written_the_same(text: str) -> None:
    assert to_text(parse(text)) == text


def check_round_trip(network: Network) -> None:
    text = to_text(network)
    again = parse(text)
    assert again == network
    assert list(again.nodes) == list(network.nodes)
    assert to_text(again) == text


@quick
@given(networks())
def test_every_network_has_a_text_that_says_the_same(network: Network) -> None:
    check_round_trip(network)


@quick
@given(texts)
def test_every_text_is_a_network_or_refused_at_a_place(text: str) -> None:
    try:
        network = parse(text)
    except TopologyError as error:
        check_place(text, error)
    else:
        check_round_trip(network)


def check_place(text: str, error: TopologyError) -> None:
    lines = text.split("\n")
    assert error.line is not None
    assert error.column is not None
    assert 1 <= error.line <= len(lines)
    assert 1 <= error.column <= len(lines[error.line - 1].rstrip()) + 1


def test_a_router_that_no_line_shows_is_written_as_one() -> None:
    network = parse("a -- r\nr -- b")
    network.links.insert(1, parse("x -- y").links[0])
    network.nodes |= parse("x, y").nodes
    network.between = {"r"}
    assert "r [router]" in to_text(network)
    check_round_trip(network)


def test_equal_networks_are_made_of_the_same() -> None:
    assert parse("a -- r -- b") == parse("a -- r\nr -- b\nr [router]")
    assert parse("a -- r -- b") != parse("a -- r\nr -- b")
    assert parse("a -- b") != parse("b -- a")
    assert parse("a -- b") != parse("a -- b [mtu=1400]")
    assert parse("a -- b") != "a -- b"


def test_large_groups_are_written_in_several_lines() -> None:
    names = [f"host{number}" for number in range(100)]
    text = to_text(parse(f"sw [switch]\nsw -- {{{' '.join(names)}}}"))
    assert max(map(len, text.split("\n"))) < 110
    assert list(parse(text).nodes) == ["sw", *names]


def test_a_thousand_lines_take_little() -> None:
    text = "\n".join(
        f"host{number} -- r{number % 50} [10.{number // 256}.{number % 256}.0/24]" for number in range(1000)
    )

    def seconds() -> float:
        start = time.process_time()
        to_text(parse(text))
        return time.process_time() - start

    assert min(seconds() for _ in range(5)) < 0.2  # it takes 0.03


def test_a_text_is_text() -> None:
    with pytest.raises(TypeError, match="the text of a network is a str, such as 'client -- server', not 3"):
        parse(3)  # type: ignore[arg-type]


def test_the_report_of_a_test_shows_the_error_and_none_of_our_frames(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        from pytest_netns._topology.text.reading import parse

        def test():
            parse("sw [swtich]")
    """)
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E  *TopologyError: 'swtich' is no setting of a node",
            "E  *line 1: sw [[]swtich[]]",
            "E  * ^^^^^^",
            "E  *did you mean 'switch'[?]",
        ]
    )
    result.stdout.no_fnmatch_line("*_topology/*.py:*")
