"""Networks drawn as text, for Graphviz and for Mermaid."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from pytest_netns._topology.drawing.as_text import draw
from pytest_netns._topology.drawing.graphs import dot, mermaid
from pytest_netns._topology.model import Network
from pytest_netns._topology.plan import Plan
from pytest_netns._topology.text.reading import to_text
from tests.topology.drawing.plans import plan_of

pytest.importorskip("hypothesis", exc_type=ImportError)  # it has no build for the newest Pythons

from hypothesis import given

from tests.topology.strategies import networks, quick

LINE = """\
client  host
│  eth0  10.0.1.1/24  fd00:0:0:1::1/64
│  eth0  10.0.1.2/24  fd00:0:0:1::2/64
r1  router
│  eth1  10.0.2.1/24  fd00:0:0:2::1/64
│  eth0  10.0.2.2/24  fd00:0:0:2::2/64
server  host"""

RING = """\
r1  router
│  eth0     10.0.1.1/24  fd00:0:0:1::1/64
│  eth0     10.0.1.2/24  fd00:0:0:1::2/64
r2  router
│  eth1     10.0.2.1/24  fd00:0:0:2::1/64
│  eth0     10.0.2.2/24  fd00:0:0:2::2/64
r3  router
└─ eth1     10.0.3.1/24  fd00:0:0:3::1/64
   r1:eth1  10.0.3.2/24  fd00:0:0:3::2/64  above"""

STAR = """\
sw  switch
├─ eth0 ── web:eth0    10.0.1.1/24  fd00:0:0:1::1/64  host
├─ eth1 ── db:eth0     10.0.1.2/24  fd00:0:0:1::2/64  host
└─ eth2 ── cache:eth0  10.0.1.3/24  fd00:0:0:1::3/64  host"""

LANS = """\
sw1  switch
├─ eth0 ── a:eth0  10.0.1.1/24  fd00:0:0:1::1/64  host
├─ eth1 ── b:eth0  10.0.1.2/24  fd00:0:0:1::2/64  host
├─ eth2 ── eth0    10.0.1.3/24  fd00:0:0:1::3/64
r  router
│  eth1            10.0.2.3/24  fd00:0:0:2::3/64
│  eth2
sw2  switch
├─ eth0 ── c:eth0  10.0.2.1/24  fd00:0:0:2::1/64  host
└─ eth1 ── d:eth0  10.0.2.2/24  fd00:0:0:2::2/64  host"""

TREE = """\
core  router
├─ eth0       10.0.1.1/24  fd00:0:0:1::1/64
│  eth0       10.0.1.2/24  fd00:0:0:1::2/64
│  d1  router
│  ├─ eth1    10.0.3.1/24  fd00:0:0:3::1/64
│  │  a:eth0  10.0.3.2/24  fd00:0:0:3::2/64  host
│  └─ eth2    10.0.4.1/24  fd00:0:0:4::1/64
│     b:eth0  10.0.4.2/24  fd00:0:0:4::2/64  host
├─ eth1       10.0.2.1/24  fd00:0:0:2::1/64
│  eth0       10.0.2.2/24  fd00:0:0:2::2/64
d2  router
├─ eth1       10.0.5.1/24  fd00:0:0:5::1/64
│  c:eth0     10.0.5.2/24  fd00:0:0:5::2/64  host
└─ eth2       10.0.6.1/24  fd00:0:0:6::1/64
   d:eth0     10.0.6.2/24  fd00:0:0:6::2/64  host"""

PARTS = """\
phone  host
│  wlan0  10.0.1.1/24  fd00:0:0:1::1/64  [mtu=1400]
│  eth0   10.0.1.2/24  fd00:0:0:1::2/64
home  nat symmetric

alone  host"""

VLANS = """\
sw1  switch
├─ eth0 ── a:eth0  10.0.1.1/24  fd00:0:0:1::1/64  host  [access=10]
├─ eth1 ── eth0                                   [trunk=10,20]
sw2  switch
│  eth1 ── eth0    10.0.2.1/24  fd00:0:0:2::1/64  [mtu=1400 access=20]
b  host"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("client -- r1 -- server", LINE),
        ("r1 -- r2 -- r3 -- r1", RING),
        ("sw [switch]\nsw -- {web db cache}", STAR),
        ("{web db cache} -- sw\nsw [switch]", STAR),
        ("sw1, sw2 [switch]\nsw1 -- {a b}\nsw2 -- {c d}\nsw1 -- r -- sw2", LANS),
        ("core -- {d1 d2}\nd1 -- {a b}\nd2 -- {c d}\ncore, d1, d2 [router]", TREE),
        ("phone:wlan0 -- home [mtu=1400]\nhome [nat kind=symmetric]\nalone", PARTS),
        ("sw1, sw2 [switch]\na -- [access=10] -- sw1 -- [trunk=10,20] -- sw2 -- [access=20 mtu=1400] -- b", VLANS),
    ],
)
def test_text(text: str, expected: str) -> None:
    plan = plan_of(text)
    assert draw(plan) == expected
    lines = [line for line in expected.split("\n") if line]
    assert draw(plan, len(lines)) == expected
    for limit in range(1, len(lines)):
        *shown, rest = draw(plan, limit).split("\n")
        # The kind of a node stands where it is drawn, whether it has a line of its own or is at the end of a link.
        there = [line for line in shown if re.search(r"  (host|router|switch|nat symmetric)\b", line)]
        hidden = len(plan.nodes) - len(there)
        assert rest == f"... and the rest, with {hidden} of its {len(plan.nodes)} nodes"
        assert len([line for line in shown if line]) == limit


def test_both_families_stand_below_each_other_where_a_line_is_too_short() -> None:
    name = "a-host-with-a-name-of-more-than-fifty-letters-in-it-yes"
    drawn = draw(plan_of(f"sw [switch]\nsw -- {{{name} db}}"))
    assert drawn == (
        "sw  switch\n"
        f"├─ eth0 ── {name}:eth0  10.0.1.1/24       host\n"
        f"│{' ' * 72}fd00:0:0:1::1/64\n"
        f"└─ eth1 ── db:eth0{' ' * 55}10.0.1.2/24       host\n"
        f"{' ' * 73}fd00:0:0:1::2/64"
    )


@pytest.mark.parametrize(
    "text",
    [
        "sw [switch]\nsw -- {" + " ".join(f"h{number}" for number in range(20)) + "}",
        " -- ".join(f"r{number}" for number in range(100)),
        "\n".join(f"n{number // 2} -- n{number}" for number in range(1, 200)),
        "\n".join(f"n{number // 3} -- n{number}" for number in range(1, 200)),
        "\n".join(f"r{number} -- r{number + 1}\nr{number} -- h{number}" for number in range(40)),
        "\n".join(f"r{number} -- r{number + 1}\nr{number} -- a{number} -- b{number}" for number in range(40)),
    ],
    ids=["star", "line", "binary tree", "ternary tree", "comb", "comb of lines"],
)
def test_a_large_network_is_not_wide(text: str) -> None:
    assert max(map(len, draw(plan_of(text)).split("\n"))) <= 100


def interfaces_of(plan: Plan) -> Counter[str]:
    return Counter(port.name for node in plan.nodes.values() for port in node.ports)


@quick
@given(networks())
def test_text_has_every_interface_once(network: Network) -> None:
    plan = plan_of(to_text(network))
    drawn = re.sub(r"\[[^]]*\]", "", draw(plan))
    found = re.findall(r"(?<![\w.:-])(?:[\w.-]+:)?(eth\d+|wlan0|a-eth0|v\.100)(?= |$)", drawn, re.MULTILINE)
    assert Counter(found) == interfaces_of(plan)
    for node in plan.nodes.values():
        for port in node.ports:
            assert all(drawn.count(f" {address}") == 1 for address in port.addresses)


# Graphviz and Mermaid


def test_dot() -> None:
    assert dot(plan_of("client -- sw -- [mtu=1400] -- r -- x\nsw [switch]\nx [nat]")) == (
        "graph network {\n"
        "  node [fontname=sans]\n"
        "  edge [fontname=sans fontsize=10]\n"
        r'  "client" [label="client\nhost" shape=box]'
        "\n"
        r'  "sw" [label="sw\nswitch" shape=hexagon]'
        "\n"
        r'  "r" [label="r\nrouter" shape=ellipse]'
        "\n"
        r'  "x" [label="x\nnat" shape=octagon]'
        "\n"
        r'  "client" -- "sw" [taillabel="eth0\n10.0.1.1/24\nfd00:0:0:1::1/64" headlabel="eth0"]'
        "\n"
        r'  "sw" -- "r" [taillabel="eth1" headlabel="eth0\n10.0.1.2/24\nfd00:0:0:1::2/64" label="[mtu=1400]"]'
        "\n"
        r'  "r" -- "x" [taillabel="eth1\n10.0.2.1/24\nfd00:0:0:2::1/64" '
        r'headlabel="eth0\n10.0.2.2/24\nfd00:0:0:2::2/64"]'
        "\n}"
    )


def test_mermaid() -> None:
    assert mermaid(plan_of("end -- sw -- [mtu=1400] -- r -- x\nsw [switch]\nx [nat]")) == (
        "flowchart TB\n"
        '  n1["end<br/>host"]\n'
        '  n2{{"sw<br/>switch"}}\n'
        '  n3(["r<br/>router"])\n'
        '  n4[["x<br/>nat"]]\n'
        '  n1 ---|"eth0 10.0.1.1/24 fd00:0:0:1::1/64<br/>eth0"| n2\n'
        '  n2 ---|"eth1<br/>[mtu=1400]<br/>eth0 10.0.1.2/24 fd00:0:0:1::2/64"| n3\n'
        '  n3 ---|"eth1 10.0.2.1/24 fd00:0:0:2::1/64<br/>eth0 10.0.2.2/24 fd00:0:0:2::2/64"| n4'
    )


DOT_WORD = r'"(?:[^"\\]|\\.)*"'
DOT_LINE = re.compile(
    rf"  (?:{DOT_WORD}|{DOT_WORD} -- {DOT_WORD}|node|edge) \[\w+=(?:{DOT_WORD}|\w+)(?: \w+=(?:{DOT_WORD}|\w+))*\]"
)
MERMAID_LINE = re.compile(
    r'  n\d+(?:\["[^"]*"\]|\{\{"[^"]*"\}\}|\(\["[^"]*"\]\)|\[\["[^"]*"\]\])|  n\d+ ---\|"[^"]*"\| n\d+'
)


@quick
@given(networks())
def test_graphs_have_a_line_for_each_node_and_each_link(network: Network) -> None:
    plan = plan_of(to_text(network))
    expected = len(network.nodes) + len(network.links)
    first, *settings, last = dot(plan).split("\n")
    assert (first, last, len(settings)) == ("graph network {", "}", expected + 2)
    assert all(DOT_LINE.fullmatch(line) for line in settings)
    first, *lines = mermaid(plan).split("\n")
    assert (first, len(lines)) == ("flowchart TB", expected)
    assert all(MERMAID_LINE.fullmatch(line) for line in lines)
