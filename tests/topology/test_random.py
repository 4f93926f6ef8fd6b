"""Networks at random: each is refused with its place, or works as it is drawn, and is gone to nothing."""

from __future__ import annotations

import os
import socket

import pytest

from pytest_netns import Host, Interface, MakeTopology, Topology, TopologyError
from tests.support.helpers import links_of_networks
from tests.support.neighbours import PATIENCE, ask_once

pytest.importorskip("hypothesis", exc_type=ImportError)  # it has no build for the newest Pythons

from hypothesis import given, settings
from hypothesis import strategies as st

pytestmark = [pytest.mark.core, pytest.mark.second_kernel, pytest.mark.slow]

NAMES = ["a", "b", "c", "d", "r1", "r2", "s1", "s2"]
NETWORKS = ["10.0.0.0/8", "192.0.2.0/24", "192.0.2.0/29", "198.51.100.0/30", "2001:db8:7::/64"]


@st.composite
def texts(draw: st.DrawFn) -> str:
    """Draw the text of a network of a few nodes."""
    lines = ["s1, s2 [switch]"]
    for name in draw(st.lists(st.sampled_from(NAMES[:6]), max_size=3, unique=True)):
        kind = draw(st.sampled_from(["host", "router", "mtu=1400", "ipv6=off"]))
        lines.append(f"{name} [{kind}]")
    for _ in range(draw(st.integers(1, 5))):
        names = draw(st.lists(st.sampled_from(NAMES), min_size=2, max_size=4, unique=True))
        given = draw(st.sampled_from(["", "", "", *NETWORKS]))
        lines.append(" -- ".join(names) + (f" [{given}]" if given else ""))
    return "\n".join(lines)


def within_reach(host: Host) -> list[Interface]:
    """Return the interfaces that a node reaches over links, switches and routers; what is behind a host it does not."""
    found: dict[int, Interface] = {}
    left = list(host.interfaces.values())
    while left:
        peer = left.pop().peer
        if peer.index not in found:
            passes = peer.host.kind != "host"
            beyond = list(peer.host.interfaces.values()) if passes else [peer]
            found |= {one.index: one for one in beyond}
            left += beyond if passes else []
    return [one for one in found.values() if one.addresses and one.host is not host]


def check_reached(client: Host, interface: Interface) -> None:
    """Send a datagram to the address of an interface."""
    family, kind = socket.AF_INET, socket.SOCK_DGRAM
    with client.socket(family, kind) as asking, interface.host.socket(family, kind) as answering:
        answering.bind(("", 53))
        answering.settimeout(PATIENCE)
        asking.sendto(b"first", (str(interface.addresses[0].ip), 53))
        assert answering.recv(100) == b"first", f"from {client} to {interface}"


@settings(max_examples=40, deadline=None, database=None)
@given(text=texts())
def test_a_network_works_or_is_refused(netns_topology_factory: MakeTopology, text: str) -> None:
    before, descriptors = links_of_networks(), len(os.listdir("/proc/self/fd"))
    try:
        net = netns_topology_factory(text)
    except TopologyError as error:
        is_placed = error.line is not None
    else:
        is_placed = True
        with net:
            hosts = [net[name] for name in net if net[name].kind != "switch"]
            ask_once(*hosts)
            for host in hosts:
                for interface in within_reach(host):
                    check_reached(host, interface)
    assert is_placed, "the error shows the place"
    assert links_of_networks() == before
    assert len(os.listdir("/proc/self/fd")) <= descriptors


@given(text=texts())
@settings(max_examples=100, deadline=None, database=None)
def test_it_is_the_same_on_every_run(text: str) -> None:
    try:
        first, second = Topology(text), Topology(text)
        assert str(first) == str(second)
        assert Topology(first.text).text == first.text
    except TopologyError:
        return
