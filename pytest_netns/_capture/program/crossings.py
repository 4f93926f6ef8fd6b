"""What is written of a link: each frame once, since Wireshark takes one that it sees again for a retransmission."""

from __future__ import annotations

import time as clock

from .recording import CUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .links import Interface, Links
    from .recording import RawFrame, Recording

    Crossing = tuple[Interface, Interface, int, bytes]
    """A frame that crosses a link: who sends it, who receives it, its length, and how it begins."""


MARGIN = 1_000_000  # nanoseconds that a frame may be on its way


class Written:
    """A frame as it is written.

    :param ends: of the link, or the only one that is known.
    :param is_outgoing: whether it was sent by the first of them.
    """

    __slots__ = ("data", "ends", "is_lost", "is_outgoing", "length", "time")

    def __init__(self, frame: RawFrame, ends: tuple[Interface, ...], is_outgoing: bool, is_lost: bool = False) -> None:
        self.time, _, _, self.data, self.length = frame
        self.ends = ends
        self.is_outgoing = is_outgoing
        self.is_lost = is_lost


def frames_of(recordings: dict[int, Recording], links: Links, since: int) -> list[Written]:
    """Return what is to be written of recordings, in the order of time.

    :param since: nanoseconds since the epoch: frames of before belong to another test.
    """
    until = clock.time_ns() - MARGIN
    opposites = links.opposites(recordings)
    found: list[Written] = []
    sent: dict[Crossing, list[RawFrame]] = {}
    arrived: dict[Crossing, list[RawFrame]] = {}
    for key, frames in links.frames(recordings, since).items():
        for frame in frames:
            time, name, is_outgoing, data, length = frame
            here = key, name
            other = opposites.of(*here, time)
            if other is None:
                found.append(Written(frame, (here,), is_outgoing))
                continue
            crossing = *((here, other) if is_outgoing else (other, here)), length, data[:CUT]
            (sent if is_outgoing else arrived).setdefault(crossing, []).append(frame)
    for crossing, frames in arrived.items():
        found += [_crossed(frame, crossing) for frame in frames]
    for crossing, frames in sent.items():
        lost = _without_arrival(frames, arrived.get(crossing, []))
        found += [_crossed(frame, crossing, is_lost=frame[0] < until) for frame in lost]
    return sorted(found, key=lambda one: one.time)


def _crossed(frame: RawFrame, crossing: Crossing, is_lost: bool = False) -> Written:
    sender, receiver, _, _ = crossing
    ends = min(sender, receiver), max(sender, receiver)
    return Written(frame, ends, ends[0] == sender, is_lost)


def _without_arrival(sent: list[RawFrame], arrived: list[RawFrame]) -> list[RawFrame]:
    """Return which of equal frames have not arrived: each arrival is that of the latest that it can be."""
    left: list[RawFrame] = []
    following = sent[::-1]
    for time, *_ in arrived:
        while following and following[-1][0] <= time:
            left.append(following.pop())
        if left:
            left.pop()
    return [*left, *following]
