"""A frame, as an interface has sent or received it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Frame(NamedTuple):
    """A frame, as an interface has sent or received it."""

    time: int
    """Nanoseconds since the epoch (CLOCK_REALTIME)."""
    namespace: str
    """What reports call the namespace: the name of the host, in a network."""
    interface: str
    is_outgoing: bool
    data: bytes
    """From the Ethernet header on, which frames of loopback have too; a VLAN tag is in its place."""
    length: int
    """In bytes, as it was sent: more than there is data, if that was cut."""


Frame.__module__ = "pytest_netns"  # not in its body, where it would be a field


def in_order(frames: Iterable[Frame]) -> list[Frame]:
    """Return frames in the order of time.

    The recorder takes what crosses a link at one end of it only, so that to have been sent and to have arrived have one
    time: that of the former comes first.
    """
    return sorted(frames, key=lambda frame: (frame.time, not frame.is_outgoing))
