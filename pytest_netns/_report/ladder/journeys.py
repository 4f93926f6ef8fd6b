"""The journey of each packet, from the namespace that sent it through others to where it was last seen."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Iterable, Iterator

from .links import LOOPBACK, Crossings
from .sightings import Sighting, Translatable, translatable

SEVERAL = 16
"""Equal packets, at most, that are taken to be in a namespace at the same time."""


@dataclasses.dataclass(eq=False)
class Visit:
    """A packet in one namespace: how it came, and how it was sent on."""

    sightings: list[Sighting]
    before: Visit | None = None
    """Where it was sent from."""
    after: list[Visit] = dataclasses.field(default_factory=list)
    pieces: list[Visit] = dataclasses.field(default_factory=list)
    """Those after it that have a part of it each."""
    is_unclear: bool = False
    """Whether it can't be told which one a NAT has made of it."""

    @property
    def namespace(self) -> str:
        return self.sightings[0].namespace

    @property
    def first(self) -> Sighting:
        return self.sightings[0]

    @property
    def came(self) -> list[Sighting]:
        return [one for one in self.sightings if not one.is_outgoing]

    @property
    def went(self) -> list[Sighting]:
        return [one for one in self.sightings if one.is_outgoing]

    @property
    def is_last(self) -> bool:
        """Whether the packet came and went no further."""
        return not self.went and not self.after

    @property
    def is_loopback(self) -> bool:
        return self.first.frame.interface == LOOPBACK

    def path(self) -> list[Visit]:
        """Return all visits from the first one to this one."""
        found = [self]
        while found[-1].before:
            found.append(found[-1].before)
        return found[::-1]

    def walk(self) -> Iterator[Visit]:
        """Yield this visit and those after it."""
        left = [self]
        while left:
            visit = left.pop()
            yield visit
            left += visit.after


def visits_of(sightings: Iterable[Sighting], crossings: Crossings) -> list[Visit]:
    """Return the visits of all packets."""
    here: dict[tuple[str, bytes], list[Visit]] = defaultdict(list)
    of: dict[Sighting, Visit] = {}
    found = []
    for one in sightings:
        before = here[one.namespace, one.key]
        origin = of.get(crossings.origin.get(one, one))
        visit = next((visit for visit in reversed(before[-SEVERAL:]) if goes_on(visit, one, origin)), None)
        if visit is None:
            visit = Visit([], before=origin)
            before.append(visit)
            found.append(visit)
            if origin:
                origin.after.append(visit)
        visit.sightings.append(one)
        of[one] = visit
    return found


def goes_on(visit: Visit, one: Sighting, origin: Visit | None) -> bool:
    """Whether a frame belongs to a visit: the same packet again at an interface is another one's."""
    if any(other.where == one.where and other.is_outgoing == one.is_outgoing for other in visit.sightings):
        return False
    if visit.is_loopback or one.is_outgoing:
        return True
    # It has come up from an interface such as that of a VLAN or a tunnel, perhaps by what looks like a link as well.
    return visit.before is origin if origin else not visit.went


def join_across_nats(visits: list[Visit]) -> None:
    """Let each visit that only went follow one that only came and differs by what a NAT changes."""
    came: dict[tuple[object, ...], list[tuple[Visit, Translatable]]] = defaultdict(list)
    for visit in sorted(visits, key=lambda visit: visit.first.time):
        packet = translatable(visit.first)
        if packet is None or visit.is_loopback:
            continue
        kind = (visit.namespace, packet.rest)
        if not visit.went:
            came[kind].append((visit, packet))
        elif not visit.came:
            found = [(one, other.source) for one, other in came[kind] if is_translated(one, other, visit, packet)]
            if len({source for _, source in found}) == 1:
                join(found[-1][0], visit)
            for one, _ in found if visit.before is None else ():
                one.is_unclear = True


def is_translated(one: Visit, before: Translatable, other: Visit, after: Translatable) -> bool:
    """Whether a packet that came may be one that went: not an answer, and forwarded."""
    if one.after or (before.source, before.destination) == (after.destination, after.source):
        return False
    first, second = one.first.content.ip, other.first.content.ip
    return first is not None and second is not None and second.ttl < first.ttl


def join(one: Visit, other: Visit) -> None:
    """Let a visit follow another one, unless that would be a circle."""
    if all(visit is not other for visit in one.path()):
        other.before = other.before or one
        one.after.append(other)
