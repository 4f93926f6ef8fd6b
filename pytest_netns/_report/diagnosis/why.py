"""Why a test failed, as far as the network knows: at most three causes, the most specific first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from . import counted, crossed, states, talks, traced
from .case import SEEN, TRACED, Case, Finding

MOST = 3
FOLLOWING = ("route", "link", "neighbour", "forwarding", "address", "accept", "accept queue", "no port", "given up")
"""Topics of what follows from a packet that stops, or is the same."""
HERE = ("nobody here", "no port")
"""Topics of a namespace in which nobody listens on a port that its own programs have tried."""
NOTHING = "the network knows of nothing that stopped a packet"
Find = Callable[[Case], Iterable[Finding]]

FINDERS: tuple[Find, ...] = (crossed.find, traced.find, talks.find, counted.find, states.find)
"""What looks for causes. One that looks at the frames that crossed the links has ``case.frames``."""


def find(case: Case, finders: Sequence[Find] = FINDERS) -> list[Finding]:
    """Return the causes that are found, the most specific first, each about something else."""
    found: dict[tuple[str, ...], Finding] = {}
    for one in sorted((one for finder in finders for one in finder(case)), key=lambda one: one.rank):
        if not any(_explains(other, one) for other in found.values()):
            found.setdefault(one.topic, one)
    return _with_elsewhere(list(found.values()), case.elsewhere)


def _with_elsewhere(found: list[Finding], elsewhere: Finding | None) -> list[Finding]:
    """Return the causes and who listens elsewhere, unless a packet was followed to another host."""
    others = [one for one in found if one.topic[0] not in HERE]
    if elsewhere is None or (others and others[0].rank == TRACED):
        return found
    return [elsewhere, *others]


def _explains(cause: Finding, other: Finding) -> bool:
    """Whether something follows from a cause that is known already, at the same host."""
    return cause.rank == TRACED < other.rank and cause.topic[1:2] == other.topic[1:2] and other.topic[0] in FOLLOWING


def lines(case: Case, finders: Sequence[Find] = FINDERS) -> Iterator[str]:
    """Yield the lines of a report that say it.

    Where what failed is no use of the network, what the network has noted meanwhile need not be the reason.
    """
    found = find(case, finders)
    is_of_network = case.failure.is_of_network or case.elsewhere is not None
    if not is_of_network:
        found = [one for one in found if one.rank < SEEN]
    if not found:
        if is_of_network:
            yield f"why: {NOTHING}"
        return
    title = "why" if is_of_network else "meanwhile"
    for one in found[:MOST]:
        yield f"{title}: {one.text}"
        if one.remedy:
            yield f"{' ' * len(title)}  {one.remedy}"
        title = "also" if is_of_network else title
    if len(found) > MOST:
        yield f"and {len(found) - MOST} more"
