"""What a drawing shows, and what it only counts."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from ..._frames.ethernet import ARP
from ..._frames.ip import IP
from .fates import ARRIVED
from .messages import BAD, FINE, Message, is_neighbourly, is_request
from .recording import Note

RUN = 4
"""Segments from which on a run of them is one row."""
PAUSE = 100_000_000
"""Nanoseconds without anything from which on a row says so."""


@dataclasses.dataclass(frozen=True)
class Pause:
    """A time in which nothing happened."""

    time: int
    length: int


@dataclasses.dataclass(frozen=True)
class Omission:
    """What is left out between two rows."""

    time: int
    messages: int
    notes: int


Row: TypeAlias = "Message | Note | Pause | Omission"


@dataclasses.dataclass
class Counted:
    """What is not shown, because it is as it is in every network."""

    asked: int = 0
    """Of ARP, as is what was answered."""
    answered: int = 0
    ipv6: int = 0
    """Neighbour discovery and MLD."""
    other: int = 0
    """Below IP."""
    acknowledgments: int = 0

    def __str__(self) -> str:
        parts = [
            f"ARP, {self.asked} asked, {self.answered} answered" if self.asked or self.answered else "",
            f"{self.ipv6} of IPv6 (neighbours, groups)" if self.ipv6 else "",
            f"{self.other} below IP" if self.other else "",
            f"{self.acknowledgments} ACK{'s' * (self.acknowledgments > 1)}" if self.acknowledgments else "",
        ]
        return "; ".join(filter(None, parts))


def sift(messages: Sequence[Message]) -> tuple[list[Message], Counted]:
    """Return the messages that tell something, and count the others."""
    shown, counted = [], Counted()
    accepted = [message for message in messages if message.tcp and message.tcp.syn and message.tcp.ack]
    handshakes = {ends.opposite for message in accepted for ends in message.all_ends}
    for message in messages:
        arp = message.packet.get(ARP)
        if is_neighbourly(message) and not (message.mark == BAD and is_request(message.packet)):
            counted.asked += arp is not None and arp.operation == ARP.REQUEST
            counted.answered += arp is not None and arp.operation == ARP.REPLY
            counted.ipv6 += message.packet.get(IP) is not None
            counted.other += arp is None and message.packet.get(IP) is None
        elif message.is_acknowledgment and message.mark == FINE and not message.remarks:
            is_first = not handshakes.isdisjoint(message.all_ends)
            handshakes -= message.all_ends
            if is_first or "window 0" in message.label:
                shown.append(message)
            else:
                counted.acknowledgments += 1
        else:
            shown.append(message)
    return shown, counted


def rows_of(messages: Sequence[Message], notes: Sequence[Note]) -> list[Row]:
    """Return messages and notes in the order of time, runs of segments as one."""
    timed: list[Message | Note] = sorted([*messages, *notes], key=lambda one: one.time)
    rows: list[Row] = []
    run: list[Message] = []
    for one in timed:
        if not (run and isinstance(one, Message) and belongs(one, run[-1])):
            rows += folded(run)
            run = []
        if isinstance(one, Message) and is_plain(one):
            run.append(one)
        else:
            rows.append(one)
    return [*rows, *folded(run)]


def is_plain(message: Message) -> bool:
    """Whether it is data, and nothing is to be said about it."""
    return message.has_data and message.mark == FINE and message.fate.kind == ARRIVED


def belongs(message: Message, last: Message) -> bool:
    """Whether a message continues a run."""
    return (
        is_plain(message)
        and (message.source, message.ends) == (last.source, last.ends)
        and message.target == last.target
        and message.time - last.time < PAUSE
    )


def folded(run: list[Message]) -> list[Message]:
    """Return a run of segments as one message, if it is long."""
    if len(run) < RUN:
        return run
    size = sum(message.tcp.payload_length for message in run if message.tcp)
    took = (run[-1].time - run[0].time) / 1e6
    words = f"{len(run)} segments, {size:,} B"
    return [dataclasses.replace(run[0], label=words, remarks=[f"in {took:,.1f} ms"], count=len(run))]


def with_pauses(rows: list[Row]) -> Iterator[Row]:
    """Yield rows, and one for each long time between two of them."""
    for number, row in enumerate(rows):
        before = rows[number - 1] if number else None
        if before and row.time - before.time >= PAUSE:
            yield Pause(before.time, row.time - before.time)
        yield row


def fit(rows: list[Row], room: int) -> list[Row]:
    """Return as many rows as there is room for: the last and the first ones, those that are marked, and pauses."""
    paused = list(with_pauses(rows))
    if len(paused) <= room:
        return paused
    if len(rows) <= room:
        return rows
    chosen: set[int] = set()
    for number in by_weight(rows):
        wider = chosen | {number}
        if cost(wider, len(rows)) > room:
            break
        chosen = wider
    return list(with_omissions(rows, chosen))


def by_weight(rows: list[Row]) -> list[int]:
    """Return the numbers of rows, the most telling first."""
    numbers = list(range(len(rows)))
    marked = [number for number in numbers if isinstance(one := rows[number], Message) and one.mark]
    order = [*numbers[-8:], *numbers[:8], *marked[:4], *marked[::-1], *numbers[::-1]]
    return list(dict.fromkeys(order))


def cost(chosen: set[int], total: int) -> int:
    """Return how many lines rows take, with one for each gap between them."""
    gaps = sum(number + 1 not in chosen and number + 1 < total for number in chosen)
    return len(chosen) + gaps + (0 not in chosen)


def with_omissions(rows: list[Row], chosen: set[int]) -> Iterator[Row]:
    """Yield the rows that were chosen, and what is left out between them."""
    left: list[Row] = []
    for number, row in enumerate(rows):
        if number not in chosen:
            left.append(row)
            continue
        if left:
            yield omission(left)
            left = []
        yield row
    if left:
        yield omission(left)


def omission(left: list[Row]) -> Omission:
    """Return what is said of rows that are left out."""
    kinds = Counter(type(row) for row in left)
    messages = sum(row.count for row in left if isinstance(row, Message))
    return Omission(left[0].time, messages, kinds[Note])
