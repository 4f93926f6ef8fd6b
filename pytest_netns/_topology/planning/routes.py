"""Which way packets go: over the fewest routers, by the first in the text where several are as good."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias, TypeVar

from .. import model
from ..model import Address, IPNetwork
from ..plan import Plan, Planned, Port, Route, Segment

Hop: TypeAlias = "tuple[Port, Address]"
"""The interface by which a packet leaves a node, and the router that gets it."""

Via = TypeVar("Via")

ANYWHERE: dict[int, IPNetwork] = {4: ipaddress.IPv4Network("0.0.0.0/0"), 6: ipaddress.IPv6Network("::/0")}


def add_routes(plan: Plan) -> None:
    """Give each node its routes: a router one for each network, a host a default route and what differs from that."""
    for version in (4, 6):
        routers = {id(segment): _routers(segment, version) for segment in plan.segments}
        for planned in plan.nodes.values():
            if planned.kind != model.SWITCH and planned.node.routes and (version == 4 or planned.ipv6):
                planned.routes += _routes(planned, version, routers)


def _routers(segment: Segment, version: int) -> list[Hop]:
    """Return who forwards in a segment, and by which address."""
    return [
        (port, address) for port, _ in forwarding(segment, version) if (address := _address(port, version)) is not None
    ]


def forwarding(segment: Segment, version: int) -> list[tuple[Port, None]]:
    """Return who forwards in a segment, whatever addresses there will be."""
    return [
        (port, None)
        for port in segment.ports
        if port.node.forwards and port.node.leads_in(port, version) and (version == 4 or port.node.ipv6)
    ]


def _address(port: Port, version: int) -> Address | None:
    return next((one.ip for one in port.addresses if one.version == version), None)


def _routes(planned: Planned, version: int, routers: dict[int, list[Hop]]) -> list[Route]:
    hops = first_hops(planned, routers)
    found = [
        Route(network, address, port)
        for segment, (port, address) in hops
        for network in segment.networks
        if network.version == version
    ]
    if planned.forwards or not found:
        return found
    (address, port), _ = Counter((route.via, route.port) for route in found).most_common(1)[0]
    others = [route for route in found if route.via != address]
    return [Route(ANYWHERE[version], address, port), *others]


def first_hops(
    planned: Planned, routers: Mapping[int, Sequence[tuple[Port, Via]]]
) -> list[tuple[Segment, tuple[Port, Via]]]:
    """Return each segment that is not a node's own, in the order of its distance, and the first hop on the way.

    :param routers: who forwards in each segment, and by which address.
    """
    found: list[tuple[Segment, tuple[Port, Via]]] = []
    seen = {planned.name}
    reached = {id(port.segment) for port in planned.ports}
    edge: list[tuple[Segment, Port, tuple[Port, Via] | None]]
    edge = [(port.segment, port, None) for port in planned.ports if port.segment is not None]
    while edge:
        near, edge = edge, []
        for segment, own, hop in near:
            for port, address in routers[id(segment)]:
                if port.node.name in seen:
                    continue
                seen.add(port.node.name)
                for beyond in port.node.ports:
                    if beyond.segment is not None and id(beyond.segment) not in reached:
                        reached.add(id(beyond.segment))
                        first = hop or (own, address)
                        found.append((beyond.segment, first))
                        edge.append((beyond.segment, own, first))
    return found


def addresses_behind(nat: Planned) -> Iterator[Address]:
    """Yield the IPv4 addresses that a NAT can see behind it, the nearest first."""
    inside = [port.segment for port in nat.ports if port is not nat.outside and port.segment is not None]
    known = {id(segment) for segment in inside}
    for segment in inside:  # which grows
        for port in segment.ports:
            if port.node is nat:
                continue
            yield from (one.ip for one in port.addresses if one.version == 4)
            if not (port.node.forwards and port.node.leads_in(port, 4)):
                continue
            for beyond in port.node.ports:
                if beyond.segment is not None and beyond is not port.node.outside and id(beyond.segment) not in known:
                    known.add(id(beyond.segment))
                    inside.append(beyond.segment)
