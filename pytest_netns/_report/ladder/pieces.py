"""Packets that were cut into several by routers and interfaces, or several that became one.

Linux sends up to 64 KiB of TCP as one packet between namespaces, and cuts it where an interface can't take that; so
does a router with datagrams larger than the MTU.
"""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple, TypeAlias

from ..._frames.ip import IPv4
from ..._frames.transport import TCP
from .journeys import SEVERAL, Visit, join
from .links import Crossings
from .sightings import Sighting

WRAP = 1 << 32
Where: TypeAlias = "tuple[object, ...]"


class Stretch(NamedTuple):
    """Which bytes of a stream or a datagram a packet has."""

    of: tuple[object, ...]
    begin: int
    length: int

    def holds(self, other: Stretch) -> bool:
        """Whether another one is a part of it."""
        offset = (other.begin - self.begin) % WRAP
        return offset + other.length <= self.length

    def overlaps(self, other: Stretch) -> bool:
        """Whether they have bytes in common."""
        return (other.begin - self.begin) % WRAP < self.length or (self.begin - other.begin) % WRAP < other.length


def stretch_of(sighting: Sighting) -> Stretch | None:
    """Return the bytes that a packet has, if they can be in another packet too."""
    ip, tcp = sighting.content.ip, sighting.content.tcp
    if ip is None:
        return None
    if tcp and tcp.payload_length:
        return Stretch((TCP, ip.source, ip.destination, *tcp.ports), tcp.sequence, tcp.payload_length)
    if isinstance(ip, IPv4) and ip.identification:
        datagram = (ip.source, ip.destination, ip.protocol, ip.identification)
        return Stretch(datagram, ip.offset, ip.payload_length)
    return None


def join_pieces(visits: list[Visit], crossings: Crossings) -> None:
    """Let each packet that appears where nobody sends it follow one that vanished there and has the same bytes."""
    vanished: dict[Where, list[tuple[Visit, Stretch]]] = defaultdict(list)
    for visit in sorted(visits, key=lambda visit: visit.first.time):
        stretch = stretch_of(visit.first)
        if stretch is None or visit.is_loopback:
            continue
        if visit.before is None:
            found = [(one, other) for one, other in vanished[appeared(visit, crossings), stretch.of][-SEVERAL:]]
            follow(visit, stretch, found)
        if visit.came and not visit.went:
            vanished[visit.namespace, stretch.of].append((visit, stretch))
        for one in visit.went:
            if not crossings.arrivals.get(one):
                vanished[one.where, stretch.of].append((visit, stretch))


def appeared(visit: Visit, crossings: Crossings) -> object:
    """Return where something appeared: in a namespace, or on the link by which it came."""
    return visit.namespace if visit.first.is_outgoing else crossings.other(visit.first)


def follow(visit: Visit, stretch: Stretch, vanished: list[tuple[Visit, Stretch]]) -> None:
    """Join a packet with the one that it is a part of, or else with all that are parts of it."""
    for one, other in reversed(vanished):
        if other.holds(stretch):
            join(one, visit)
            one.pieces.append(visit)
            return
    for one, other in vanished:
        if stretch.overlaps(other):
            join(one, visit)
