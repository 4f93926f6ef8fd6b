"""Which frame that arrived is which that was sent at the other end of a link."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping

from ..._frames.ethernet import mac
from .recording import End
from .sightings import Sighting

LOOPBACK = "lo"


class Links:
    """Which end a frame was sent to, or has come from."""

    def __init__(self, sightings: Iterable[Sighting], known: Mapping[End, End]) -> None:
        """Find the links that nobody knows by frames that have crossed them.

        No header changes on a link, so the same bytes at two ends are the same frame. There may be a switch between
        them which was not recorded: what is for another Ethernet address goes elsewhere.
        """
        self._known = known
        self._found: dict[tuple[End, str], End] = {}
        self._beside: dict[End, set[End]] = defaultdict(set)
        sent: dict[bytes, set[End]] = defaultdict(set)
        arrived: dict[bytes, set[End]] = defaultdict(set)
        for one in sightings:
            ethernet = one.content.ethernet
            if one.where not in known and one.frame.interface != LOOPBACK and ethernet and not ethernet.is_multicast:
                (sent if one.is_outgoing else arrived)[one.frame.data].add(one.where)
        for data, ends in sent.items():
            others = {other for other in arrived[data] if other[0] not in {end[0] for end in ends}}
            if len(ends) == len(others) == 1:
                end, other = next(iter(ends)), next(iter(others))
                self._found[end, mac(data[:6])] = other
                self._found[other, mac(data[6:12])] = end
                self._beside[end].add(other)
                self._beside[other].add(end)

    def other(self, one: Sighting) -> End | None:
        """Return the other end of the link that a frame was sent to, or has come by."""
        ethernet = one.content.ethernet
        if one.where in self._known or ethernet is None:
            return self._known.get(one.where)
        beside = self._beside.get(one.where, set())
        if ethernet.is_multicast and len(beside) == 1:
            return next(iter(beside))
        return self._found.get((one.where, ethernet.destination if one.is_outgoing else ethernet.source))


class Crossings:
    """What each frame that was sent became at the other end of its link."""

    def __init__(self, sightings: Iterable[Sighting], links: Links) -> None:
        self.other = links.other
        self.arrivals: dict[Sighting, list[Sighting]] = defaultdict(list)
        """For each frame that was sent, its arrivals: more than one if the link has duplicated it."""
        self.origin: dict[Sighting, Sighting] = {}
        """For each arrival, which frame was sent."""
        self.slowest: dict[End, int] = defaultdict(int)
        """The longest time that a frame took from an end to the other, in nanoseconds."""
        sent: dict[tuple[End, End, bytes], list[Sighting]] = defaultdict(list)
        arrived: dict[tuple[End, End, bytes], list[Sighting]] = defaultdict(list)
        for one in sightings:
            other = self.other(one)
            if other:
                begin, end = (one.where, other) if one.is_outgoing else (other, one.where)
                (sent if one.is_outgoing else arrived)[begin, end, one.key].append(one)
        for frame, arrivals in arrived.items():
            self._pair(sent[frame], arrivals)

    def _pair(self, sent: list[Sighting], arrivals: list[Sighting]) -> None:
        """Pair equal frames: in their order, or, where some were lost, with the latest that can have been it."""
        free: list[Sighting] = []
        following = deque(sent)
        for number, arrival in enumerate(arrivals):
            if not sent:
                return
            while following and following[0].time <= arrival.time:
                free.append(following.popleft())
            if len(arrivals) >= len(sent):
                origin = sent[min(number, len(sent) - 1)]
            else:
                origin = free.pop() if free else following.popleft()
            self.arrivals[origin].append(arrival)
            self.origin[arrival] = origin
            self.slowest[origin.where] = max(self.slowest[origin.where], arrival.time - origin.time)
