"""What became of each packet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .journeys import Visit
from .recording import End, Recording
from .sightings import Sighting
from .traces import Traces

ARRIVED, LOST, STOPPED, UNSEEN = "arrived", "lost", "stopped", "unseen"
MARGIN = 1_000_000
"""Nanoseconds before the end of a record in which a frame may not have arrived yet."""


class Fate(NamedTuple):
    """What became of a packet, and where it was last seen."""

    kind: str
    last: Visit
    toward: str | None = None
    """The namespace at the other end of the link on which it was lost, or to which nobody knows whether it got."""
    copies: int = 1
    """How many arrived."""
    receivers: int = 1
    """At how many hosts."""

    @property
    def arrival(self) -> Sighting | None:
        return self.last.came[0] if self.last.came else None


class Fates:
    """Tells what became of packets."""

    def __init__(self, recording: Recording, traces: Traces) -> None:
        self._recorded = recording.recorded
        self._crossings = traces.crossings
        starts = [visit.path()[0] for visit in traces.journeys]
        self.owners = owners_of(recording.addresses, starts)
        """The namespace of each address."""
        self._macs = macs_of(starts)

    def of(self, start: Visit) -> Fate:
        """Return what became of a packet."""
        ends = [visit for visit in start.walk() if visit.is_last] or [start]
        arrived = [visit for visit in ends if self._is_for(visit)]
        if start.is_loopback:
            return Fate(ARRIVED if start.came else UNSEEN, start)
        if arrived:
            farthest = max(arrived, key=lambda visit: len(visit.path()))
            same = [visit for visit in arrived if visit.namespace == farthest.namespace]
            receivers = len({visit.namespace for visit in arrived})
            return Fate(ARRIVED, same[0], copies=len(same), receivers=receivers)
        gone = [(visit, one) for visit in start.walk() for one in visit.went if not self._crossings.arrivals.get(one)]
        for visit, one in sorted(gone, key=lambda pair: -pair[1].time):
            if self._is_lost(one):
                return Fate(LOST, visit, self._toward(one))
        stopped = [visit for visit in ends if visit.came and self._was_taken(visit) and not visit.is_unclear]
        if stopped:
            return Fate(STOPPED, max(stopped, key=lambda visit: len(visit.path())))
        if gone:
            visit, one = max(gone, key=lambda pair: pair[1].time)
            return Fate(UNSEEN, visit, self._toward(one))
        return Fate(UNSEEN, ends[-1])

    def destination(self, packet: Sighting) -> str | None:
        """Return the namespace that a packet is for, if that is known."""
        content = packet.content
        if content.arp:
            return self.owners.get(content.arp.target)
        return self.owners.get(content.ip.destination) if content.ip else None

    def _is_for(self, visit: Visit) -> bool:
        """Whether a packet that goes no further is where it was to get."""
        if not visit.came or not self._was_taken(visit):
            return False
        ethernet = visit.first.content.ethernet
        owner = self.destination(visit.first)
        return owner in (None, visit.namespace) or (ethernet is not None and ethernet.is_multicast)

    def _was_taken(self, visit: Visit) -> bool:
        """Whether the frame was for the interface, not for another one that a switch doesn't know yet."""
        one = visit.came[0]
        ethernet = one.content.ethernet
        if ethernet is None or ethernet.is_multicast or one.where not in self._macs:
            return True
        return ethernet.destination == self._macs[one.where]

    def _toward(self, one: Sighting) -> str | None:
        """Return the namespace at the other end of the link that a frame was sent to."""
        other = self._crossings.other(one)
        return other[0] if other else None

    def _is_lost(self, one: Sighting) -> bool:
        """Whether a frame would have been seen at the other end of its link, if it had got there."""
        since, until = self._recorded.get(self._toward(one) or "", (0, 0))
        return since <= one.time <= until - MARGIN - 2 * self._crossings.slowest[one.where]


def owners_of(known: Mapping[str, str], starts: list[Visit]) -> dict[str, str]:
    """Return the namespace of each address, by what is known and by who has sent from it."""
    owners = dict(known)
    for start in starts:
        if not start.first.is_outgoing:
            continue
        arp, ip = start.first.content.arp, start.first.content.ip
        address = arp.sender if arp else ip.source if ip else None
        if address not in (None, "0.0.0.0", "::"):
            owners.setdefault(address, start.namespace)
    return owners


def macs_of(starts: list[Visit]) -> dict[End, str]:
    """Return the Ethernet address of each interface that has sent a frame of its own."""
    macs: dict[End, str] = {}
    for start in starts:
        for visit in start.walk():
            ours = {ethernet_source(one) for one in visit.came}
            for one in visit.went:
                source = ethernet_source(one)
                if source and source not in ours:  # a switch sends those of others
                    macs[one.where] = source
    return macs


def ethernet_source(one: Sighting) -> str | None:
    """Return which interface has sent a frame."""
    ethernet = one.content.ethernet
    return ethernet.source if ethernet else None
