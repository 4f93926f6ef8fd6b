"""Which frame that arrived is which that was sent at the other end of a link."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable, Mapping

from .recording import End
from .sightings import Sighting

LOOPBACK = "lo"


def links_of(sightings: Iterable[Sighting], known: Mapping[End, End]) -> dict[End, End]:
    """Return the other end of each link: of those that are known, and of those that have carried a frame.

    No header changes on a link, so the same bytes at two ends are the same frame. Ends are found by frames with a
    sender and a receiver; what is for all arrives at many.
    """
    links = dict(known)
    sent: dict[bytes, set[End]] = defaultdict(set)
    arrived: dict[bytes, set[End]] = defaultdict(set)
    for one in sightings:
        ethernet = one.ethernet
        if one.where in links or one.frame.interface == LOOPBACK or ethernet is None or ethernet.is_multicast:
            continue
        (sent if one.is_outgoing else arrived)[one.frame.data].add(one.where)
    for data, ends in sent.items():
        others = {other for other in arrived[data] if other[0] not in {end[0] for end in ends}}
        if len(ends) == len(others) == 1:
            end, other = next(iter(ends)), next(iter(others))
            if end not in links and other not in links:
                links[end], links[other] = other, end
    return links


class Crossings:
    """What each frame that was sent became at the other end of its link."""

    def __init__(self, sightings: Iterable[Sighting], links: Mapping[End, End]) -> None:
        self.links = links
        self.arrivals: dict[Sighting, list[Sighting]] = defaultdict(list)
        """For each frame that was sent, its arrivals: more than one if the link has duplicated it."""
        self.origin: dict[Sighting, Sighting] = {}
        """For each arrival, which frame was sent."""
        self.slowest: dict[End, int] = defaultdict(int)
        """The longest time that a frame took from an end to the other, in nanoseconds."""
        sent: dict[tuple[End, bytes], list[Sighting]] = defaultdict(list)
        arrived: dict[tuple[End, bytes], list[Sighting]] = defaultdict(list)
        for one in sightings:
            if one.where in links:
                direction = one.where if one.is_outgoing else links[one.where]
                (sent if one.is_outgoing else arrived)[direction, one.key].append(one)
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
