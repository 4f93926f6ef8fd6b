"""All journeys of a recording."""

from __future__ import annotations

import dataclasses

from .journeys import Visit, join_across_nats, visits_of
from .links import Crossings, Links
from .pieces import join_pieces
from .recording import Recording
from .sightings import sightings_of


@dataclasses.dataclass(eq=False)
class Traces:
    """All journeys of a recording."""

    journeys: list[Visit]
    """Where each begins, or a part of a packet that was cut begins; in the order in which they were sent."""
    crossings: Crossings


def trace(recording: Recording) -> Traces:
    """Return the journeys of the packets of a recording."""
    sightings = sightings_of(recording.frames)
    crossings = Crossings(sightings, Links(sightings, recording.links))
    visits = visits_of(sightings, crossings)
    join_across_nats(visits)
    join_pieces(visits, crossings)
    journeys = [part for visit in visits if visit.before is None for part in parts_of(visit)]
    return Traces(sorted(journeys, key=lambda visit: visit.path()[0].first.time), crossings)


def parts_of(start: Visit) -> list[Visit]:
    """Return a visit, or the parts into which the packet was cut after it."""
    found, left = [], [start]
    while left:
        visit = left.pop(0)
        pieces = [piece for one in visit.walk() for piece in one.pieces]
        if pieces:
            left += pieces
        else:
            found.append(visit)
    return found
