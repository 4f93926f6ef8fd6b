"""What a drawing shows, and what it only counts."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from ..._frames.ethernet import ARP
from ..._frames.icmp import ICMPv6
from .fates import ARRIVED
from .messages import FINE, Message
from .recording import Note

RUN = 4
"""Messages from which on a run of them is one row."""
SEGMENTS, FRAGMENTS = "segments", "fragments"
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
    """Groups of IPv4, and what is below IP."""
    acknowledgments: int = 0

    def __str__(self) -> str:
        parts = [
            f"ARP, {self.asked} asked, {self.answered} answered" if self.asked or self.answered else "",
            f"{self.ipv6} of IPv6 (neighbours, groups)" if self.ipv6 else "",
            f"{self.other} of other protocols" if self.other else "",
            f"{self.acknowledgments} ACK{'s' * (self.acknowledgments > 1)}" if self.acknowledgments else "",
        ]
        return "; ".join(filter(None, parts))


def sift(messages: Sequence[Message]) -> tuple[list[Message], Counted]:
    """Return the messages that tell something, and count the others."""
    shown, counted = [], Counted()
    accepted = [message for message in messages if message.tcp and message.tcp.syn and message.tcp.ack]
    handshakes = {ends.opposite for message in accepted for ends in message.all_ends}
    for message in messages:
        content, arp = message.content, message.content.arp
        if message.is_neighbourly:
            counted.asked += arp is not None and arp.operation == ARP.REQUEST
            counted.answered += arp is not None and arp.operation == ARP.REPLY
            is_ipv6 = isinstance(content.transport, ICMPv6)
            counted.ipv6 += is_ipv6
            counted.other += arp is None and not is_ipv6
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
    """Return messages and notes in the order of time, those that are alike and follow each other as one."""
    timed: list[Message | Note] = sorted([*messages, *notes], key=lambda one: one.time)
    rows: list[Row] = []
    run: list[Message] = []
    for one in timed:
        if not (run and isinstance(one, Message) and belongs(one, run[-1])):
            rows += folded(run)
            run = []
        if isinstance(one, Message):
            run.append(one)
        else:
            rows.append(one)
    return [*rows, *folded(run)]


def belongs(message: Message, last: Message) -> bool:
    """Whether a message continues a run."""
    return (
        kind_of_run(message) == kind_of_run(last)
        and (message.source, message.target, message.fate.kind) == (last.source, last.target, last.fate.kind)
        and message.remarks == last.remarks
        and message.time - last.time < PAUSE
    )


def kind_of_run(message: Message) -> tuple[object, ...]:
    """Return what is equal for messages that are alike: segments, fragments of a datagram, or the same words."""
    if message.has_data and message.fate.kind == ARRIVED:
        return (SEGMENTS, message.ends, message.mark)
    fragments, ip = message.content.fragments, message.content.ip
    if fragments and ip:
        return (FRAGMENTS, ip.source, ip.destination, fragments[-1].identification, fragments[-1].protocol)
    return (message.label, message.ends)


def folded(run: list[Message]) -> list[Message]:
    """Return a run as one message, if it is long."""
    kind = kind_of_run(run[0])[0] if run else None
    if len(run) < (2 if kind == FRAGMENTS else RUN):
        return run
    took = (run[-1].time - run[0].time) / 1e6
    if kind == SEGMENTS:
        words = f"{len(run)} segments, {sum(one.tcp.payload_length for one in run if one.tcp):,} B"
    elif kind == FRAGMENTS:
        size = sum(one.content.fragments[-1].payload_length for one in run)
        words = f"{run[0].description.partition(' ')[0]}, {len(run)} fragments, {size:,} B"
    else:
        words = f"{len(run)} times {run[0].description}"
    remarks = [*run[0].remarks, *([f"in {took:,.1f} ms"] if kind != FRAGMENTS else [])]
    return [dataclasses.replace(run[0], description=words, remarks=remarks, count=len(run))]


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
        wider = filled(chosen | {number}, len(rows))
        if cost(wider, len(rows)) > room:
            break
        chosen = wider
    return list(with_omissions(rows, chosen))


def filled(chosen: set[int], total: int) -> set[int]:
    """Return the numbers of rows, with each that is missing alone: to say so takes a line as well."""
    alone = {number + 1 for number in chosen if number + 2 in chosen}
    return chosen | alone | {at for at, beside in ((0, 1), (total - 1, total - 2)) if beside in chosen}


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
