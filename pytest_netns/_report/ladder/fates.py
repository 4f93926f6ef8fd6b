"""What became of each packet."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ..._frames.ethernet import ARP, Ethernet
from .journeys import Visit
from .recording import End, Recording
from .sightings import Sighting
from .traces import Traces

ARRIVED, LOST, STOPPED, UNSEEN = "arrived", "lost", "stopped", "unseen"
MARGIN = 1_000_000
"""Nanoseconds before the end of a record in which a frame may still have been under way."""


class Fate(NamedTuple):
    """What became of a packet, and where it was last seen."""

    kind: str
    last: Visit
    toward: str | None = None
    """The namespace at the other end of the link on which it was lost, or to which nobody knows whether it got."""
    copies: int = 1
    """How many arrived."""

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
        ends = [visit for visit in start.walk() if visit.came and not visit.went] or [start]
        arrived = [visit for visit in ends if self._is_for(visit)]
        if start.is_loopback:
            return Fate(ARRIVED if start.came else UNSEEN, start)
        if arrived:
            farthest = max(arrived, key=lambda visit: len(visit.path()))
            same = [visit for visit in arrived if visit.namespace == farthest.namespace]
            return Fate(ARRIVED, same[0], copies=len(same))
        gone = [(visit, one) for visit in start.walk() for one in visit.went if not self._crossings.arrivals.get(one)]
        for visit, one in sorted(gone, key=lambda pair: -pair[1].time):
            if self._is_lost(one):
                return Fate(LOST, visit, self._crossings.links[one.where][0])
        stopped = [visit for visit in ends if visit.came and self._was_taken(visit)]
        if stopped:
            return Fate(STOPPED, max(stopped, key=lambda visit: len(visit.path())))
        if gone:
            visit, one = max(gone, key=lambda pair: pair[1].time)
            other = self._crossings.links.get(one.where)
            return Fate(UNSEEN, visit, other[0] if other else None)
        return Fate(UNSEEN, ends[-1])

    def destination(self, packet: Sighting) -> str | None:
        """Return the namespace that a packet is for, if that is known."""
        arp = packet.packet.get(ARP)
        if arp:
            return self.owners.get(arp.target)
        return self.owners.get(packet.ip.destination) if packet.ip else None

    def _is_for(self, visit: Visit) -> bool:
        """Whether a packet that goes no further is where it was to get."""
        if not visit.came or not self._was_taken(visit):
            return False
        ethernet = visit.first.ethernet
        owner = self.destination(visit.first)
        return owner in (None, visit.namespace) or (ethernet is not None and ethernet.is_multicast)

    def _was_taken(self, visit: Visit) -> bool:
        """Whether the frame was for the interface, not for another one that a switch doesn't know yet."""
        one = visit.came[0]
        ethernet = one.ethernet
        if ethernet is None or ethernet.is_multicast or one.where not in self._macs:
            return True
        return ethernet.destination == self._macs[one.where]

    def _is_lost(self, one: Sighting) -> bool:
        """Whether a frame would have been seen at the other end of its link, if it had got there."""
        other = self._crossings.links.get(one.where)
        since, until = self._recorded.get(other[0], (0, 0)) if other else (0, 0)
        return since <= one.time <= until - MARGIN - 2 * self._crossings.slowest[one.where]


def owners_of(known: Mapping[str, str], starts: list[Visit]) -> dict[str, str]:
    """Return the namespace of each address, by what is known and by who has sent from it."""
    owners = dict(known)
    for start in starts:
        if not start.first.is_outgoing:
            continue
        arp, ip = start.first.packet.get(ARP), start.first.ip
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
    ethernet = one.packet.get(Ethernet)
    return ethernet.source if ethernet else None
