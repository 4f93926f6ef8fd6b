"""What has changed in the namespaces of a test that failed, each thing in a line; what is as it was is not shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ..._snapshot.changes import Change, Changes, line_of
from ..._snapshot.records import UNANSWERED
from .case import Subject

TITLE = "what changed since the test began:"
MOST_OF_ONE, MOST = 12, 60  # lines
TELLING = re.compile(
    r"NoPorts|Errors|Drops|Overflows|Fails|NoRoutes|DestUnreachs|Retrans|Resets|OutRsts|Abort|ReversePath|TimeExcds"
    r"|InDiscards|RcvQDrop|TCPTimeouts"
)
"""Counters that rise where something goes wrong."""
OF_THE_KERNEL = re.compile(r"table local|^ff00::/8|^fe80::/64|^multicast")


def lines(subjects: Sequence[Subject], title: str = TITLE) -> Iterator[str]:
    """Yield the lines of a report, below a title if there are any."""
    left = MOST
    found = [(one.label, list(_of(one))) for one in subjects]
    telling = [(label, texts) for label, texts in found if texts]
    if telling:
        yield title
    for number, (label, texts) in enumerate(telling):
        if left <= 0:
            yield f"  and in {len(telling) - number} more"
            return
        yield f"  {label}"
        most = min(MOST_OF_ONE, left)
        yield from (f"    {text}" for text in texts[:most])
        if len(texts) > most:
            yield f"    and {len(texts) - most} more"
        left -= min(most, len(texts)) + 1


def _of(subject: Subject) -> Iterator[str]:
    if subject.before is not None:
        changes = Changes(subject.before, subject.now)
        yield from (line_of(change) for change in changes if _is_telling(change))
    for rule in subject.now.nft_rules:
        if rule.handle and subject.packets(rule) and rule.verdict not in ("drop", "reject"):
            yield f"nft rule {rule} "
    moved = [f"{name} +{by}" for name, by in subject.moved.items() if TELLING.search(name)]
    if moved:
        yield f"counters {', '.join(moved)}"


def _is_telling(change: Change) -> bool:
    one = change.after or change.before
    if change.part == "neighbours":
        return change.after is not None and change.after.state in UNANSWERED
    if change.part == "routes":
        return not OF_THE_KERNEL.search(str(one))
    return not (change.part == "sockets" and one.state == "TIME-WAIT")
