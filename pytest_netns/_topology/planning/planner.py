"""How a network is worked out."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from ..._errors import is_meant
from .. import model
from ..errors import TopologyError
from ..model import End, Link, Network
from ..plan import Plan, Planned, Port
from ..text import words
from ..translating.mappings import MOST
from .addressing import assign_addresses
from .routes import add_routes, addresses_behind
from .segments import segments_of

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

FIRST_INDEX = 100  # of an interface; far from those that the kernel gives


def make_plan(network: Network, *, has_ipv6: bool = True) -> Plan:
    """Work a network out.

    :param has_ipv6: whether the kernel has IPv6.
    :raises TopologyError: it cannot be.
    """
    nodes = {
        name: Planned(network.nodes[name], kind, number, network.nodes[name].ipv6 and has_ipv6)
        for number, (name, kind) in enumerate(network.kinds().items(), 1)
    }
    names = _names(network)
    for number, link in enumerate(network.links):
        ends = [_add_port(nodes[end.node], end, link, 2 * number + at, names) for at, end in enumerate(link.ends)]
        ends[0].peer, ends[1].peer = ends[::-1]
    for planned in nodes.values():
        if planned.kind == model.NAT:
            planned.outside = _outside(network, planned)
    plan = Plan(network, nodes, segments_of(network, nodes), has_ipv6)
    assign_addresses(plan)
    add_routes(plan)
    for planned in nodes.values():
        if planned.kind == model.NAT:
            _check_ports(network, planned)
    return plan


def _names(network: Network) -> dict[str, Iterator[str]]:
    """Return, for each node, the names of the interfaces that have none given."""
    given: dict[str, set[str]] = {name: set() for name in network.nodes}
    for link in network.links:
        for end in link.ends:
            given[end.node].add(end.interface or "")
    return {name: _free_names(taken) for name, taken in given.items()}


def _free_names(taken: set[str]) -> Iterator[str]:
    return (name for name in map("eth{}".format, itertools.count()) if name not in taken)


def _add_port(planned: Planned, end: End, link: Link, number: int, names: dict[str, Iterator[str]]) -> Port:
    """Give a node an interface.

    :param number: tells it from all others of the network. With that as its index too, no interface has the index of
        its peer: such a link is taken for one without a peer, and the news of its carrier waits for a second
        (net/core/link_watch.c).
    """
    port = Port(
        node=planned,
        name=end.interface or next(names[planned.name]),
        index=FIRST_INDEX + number,
        mac=":".join(f"{byte:02x}" for byte in (0x02_00_00_00_00_00 + number + 1).to_bytes(6, "big")),
        link=link,
        mtu=link.mtu or planned.node.mtu,
    )
    planned.ports.append(port)
    return port


def _outside(network: Network, planned: Planned) -> Port:
    """Return the interface of a NAT that is outside.

    :raises TopologyError: there is none, or nothing is inside.
    """
    name = planned.node.outside
    names = {port.name: port for port in planned.ports}
    if name is not None and name not in names:
        known = ", ".join(names) or "none"
        raise TopologyError(
            f"{planned.name} has no interface {name}",
            network.text,
            planned.node.places.get("outside"),
            f"its interfaces are: {known}; give one its name at its link, as in: {planned.name}:{name} -- internet",
            name,
            tuple(names),
        )
    if len(names) < 2:
        raise TopologyError(
            f"{planned.name} is a NAT with {'one interface' if names else 'no interface'}",
            network.text,
            planned.node.places.get("outside") or planned.node.at,
            f"a NAT stands between an inside and an outside: client -- {planned.name} -- server",
        )
    return names[name or planned.ports[-1].name]


def _check_ports(network: Network, planned: Planned) -> None:
    """Check that the NAT of a carrier has ports for all who are inside.

    :raises TopologyError: it has not.
    """
    count = len(list(addresses_behind(planned)))
    if planned.translation == words.CGNAT and count > MOST:
        raise TopologyError(
            f"{planned.name} has ports for {MOST} hosts, and {count} are inside",
            network.text,
            planned.node.places.get("kind") or planned.node.at,
            "take several NATs, or kind=full-cone, which shares all ports among the hosts",
        )
