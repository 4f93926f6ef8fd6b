"""Networks and texts at random."""

from __future__ import annotations

import ipaddress
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from pytest_netns._topology import model
from pytest_netns._topology.text.words import NAT_KINDS

quick = settings(max_examples=200, deadline=None, database=None)
"""No deadline that a busy machine could miss, and no files beside the tests."""

NAMES = ["a", "b", "c", "r1", "r2", "sw", "web-1", "db.example", "_x"]
INTERFACES = ["eth0", "eth1", "wlan0", "a-eth0", "v.100"]
SYSCTLS = ["net.ipv4.tcp_syncookies", "net.ipv4.tcp_rmem", "net/ipv4/conf/eth0.100/forwarding"]
VALUES = st.text("09 aZ\t\"\\#[]{},=:-'é", max_size=8)
V4 = st.integers(1, 200).map(lambda number: ipaddress.ip_network(f"10.{number}.0.0/16"))
V6 = st.integers(1, 200).map(lambda number: ipaddress.ip_network(f"fd00:{number:x}::/64"))


@st.composite
def nodes(draw: st.DrawFn, name: str) -> model.Node:
    """Draw a node."""
    kind = draw(st.sampled_from([None, None, *model.KINDS]))
    nat = kind == model.NAT
    address = st.one_of(V4, V6).map(lambda network: network[9])
    return model.Node(
        name,
        kind,
        addresses=draw(st.lists(address, max_size=2, unique=True)),
        ipv6=draw(st.booleans()),
        mtu=draw(st.sampled_from([None, None, 68, 1500, 65535])),
        sysctl=draw(st.dictionaries(st.sampled_from(SYSCTLS), VALUES, max_size=2)),
        routes=draw(st.booleans()),
        nat=draw(st.sampled_from([None, *NAT_KINDS])) if nat else None,
        outside=draw(st.sampled_from([None, *INTERFACES])) if nat else None,
    )


@st.composite
def networks(draw: st.DrawFn) -> model.Network:
    """Draw a network, as a text or a builder could make it."""
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))
    found = model.Network({name: draw(nodes(name)) for name in names})
    taken: set[tuple[str, str]] = set()

    def end(name: str) -> model.End:
        interface = draw(st.sampled_from([None, None, None, *INTERFACES]))
        if interface is None or (name, interface) in taken:
            return model.End(name)
        taken.add((name, interface))
        return model.End(name, interface)

    for _ in range(draw(st.integers(0, 12)) if len(names) > 1 else 0):
        left, right = draw(st.lists(st.sampled_from(names), min_size=2, max_size=2, unique=True))
        vlan: dict[str, Any] = draw(
            st.sampled_from([{}, {}, {}, {"access": 10}, {"trunk": (10,)}, {"trunk": (4094, 1)}])
        )
        given_networks = (
            draw(st.tuples(st.lists(V4, max_size=1), st.lists(V6, max_size=1))) if draw(st.booleans()) else ([], [])
        )
        mtu = draw(st.sampled_from([None, None, None, 1400]))
        link = model.Link(end(left), end(right), [*given_networks[0], *given_networks[1]], mtu, **vlan)
        found.links.append(link)
    linked = [one for one in names if any(one in (link.left.node, link.right.node) for link in found.links)]
    found.between = draw(st.sets(st.sampled_from(linked))) if linked else set()
    return found


WORDS = [
    *(
        "a",
        "b",
        "r1",
        "sw",
        "a:eth0",
        "b:eth0",
        "{a b}",
        "{",
        "}",
        "[",
        "]",
        ",",
        "--",
        "--",
        "--",
        "#",
        '"',
        "\t",
        "é",
    ),
    *("router", "switch", "nat", "mtu=1400", "ipv6=off", "192.0.2.0/24", "192.0.2.1", "access=10", "trunk=1,2", "10ms"),
    *("[router]", "[mtu=1400]", "[192.0.2.0/24]", "[access=10]", 'net.ipv4.x="1 2"', "=", "-", "::", "5%", "\u00a0"),
]
texts = st.lists(
    st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join) | st.text(max_size=12), min_size=1, max_size=4
).map("\n".join)
"""Texts that are networks now and then."""
