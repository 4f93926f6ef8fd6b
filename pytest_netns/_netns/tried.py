"""What a failed call had tried to reach, noted at its exception for the report of the test."""

from __future__ import annotations

from typing import NamedTuple

ATTRIBUTE = "netns_tried"


class Tried(NamedTuple):
    """Something that was tried."""

    where: str
    """What errors call the namespace; nothing where that is not known."""
    kind: str
    """``tcp``, ``udp`` or ``icmp``."""
    address: str
    port: int


def note(error: BaseException, tried: Tried) -> None:
    """Note with an exception what had been tried."""
    setattr(error, ATTRIBUTE, tried)


def noted(error: BaseException) -> Tried | None:
    """Return what was noted with an exception, if anything was."""
    found = getattr(error, ATTRIBUTE, None)
    return found if isinstance(found, Tried) else None
