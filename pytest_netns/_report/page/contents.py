"""What a page about a failed test shows."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

PACKET, NEIGHBOURLY, LINE, LOG = "packet", "neighbourly", "line", "log"
KINDS = {PACKET: "packets", LINE: "lines of the test", LOG: "log records", NEIGHBOURLY: "ARP, neighbours, groups"}
"""What the timeline has, and what the page calls it."""
HIDDEN = (NEIGHBOURLY,)
"""What it has and does not show before it is asked to."""


class Part(NamedTuple):
    """A header of a packet, or another part of an event, with its fields."""

    title: str
    fields: tuple[tuple[str, str], ...]


@dataclasses.dataclass(frozen=True)
class Event:
    """Something on the timeline."""

    time: float
    """Seconds since the test began."""
    kind: str
    """One of ``KINDS``."""
    text: str
    source: str = ""
    """The host that has sent it, or in which it happened."""
    destination: str = ""
    """The host that it is for, if it is a packet."""
    marks: tuple[str, ...] = ()
    """What is remarkable, such as ``"lost"`` and ``"retransmission"``."""
    parts: tuple[Part, ...] = ()
    data: bytes = b""
    is_bad: bool = False
    """Whether it stands out."""


@dataclasses.dataclass(frozen=True)
class Contents:
    """What a page shows."""

    test: str
    """The test's id."""
    when: str
    """The phase in which it failed, and the date."""
    why: tuple[str, ...] = ()
    """What stopped the packets: the cause first."""
    missing: tuple[str, ...] = ()
    """What could not be had, such as packets that did not fit."""
    hosts: tuple[str, ...] = ()
    """The names of the columns."""
    drawing: str = ""
    """The network as SVG."""
    changes: str = ""
    """What has changed since the test began."""
    failure: str = ""
    """The traceback."""
    events: tuple[Event, ...] = ()
    """In the order of time."""
