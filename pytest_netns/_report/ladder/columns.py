"""Which hosts have a column, and where."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from .folding import Row
from .messages import Message

NARROWEST, NARROW = 12, 18
"""From one column to the next, at least, and if there is room."""
TIME = 9
"""The width of the time, in front of the first column."""
REMARK = 0.3
"""Room for remarks, at most, as a part of the width."""


@dataclasses.dataclass
class Columns:
    """The columns of hosts, as far as they have one."""

    at: dict[str, int]
    """Where the line of each host is."""
    width: int
    """Of the whole drawing."""

    @property
    def first(self) -> int:
        return min(self.at.values())

    @property
    def last(self) -> int:
        return max(self.at.values())


def columns_of(rows: Sequence[Row], hosts: Sequence[str], width: int) -> Columns | None:
    """Return the columns of who took part, without who only forwarded if need be, or ``None`` if all are too many."""
    messages = [row for row in rows if isinstance(row, Message)]
    ends = {name for message in messages for name in ends_of(message)}
    passed = {name for message in messages for name in message.passed}
    for taking_part in (ends | passed, ends):
        names = in_order([name for name in hosts if name in taking_part], messages, passed - ends)
        found = lay_out(names, messages, width)
        if found:
            return found
    return None


def ends_of(message: Message) -> list[str | None]:
    """Return who has sent a message, whom it is for, and where it was last seen."""
    return [message.source, message.target, message.receiver, message.fate.last.namespace]


def in_order(names: list[str], messages: list[Message], between: set[str]) -> list[str]:
    """Return names, each host that only forwards next to one of those for which it does."""
    order = [name for name in names if name not in between]
    for message in messages:
        path = [message.source, *message.passed, message.target]
        for before, name, after in zip(path, path[1:], [*path[2:], None], strict=False):
            if name in names and name not in order and before in order:
                behind = after if after in order else message.target
                is_rightwards = behind not in order or order.index(before) < order.index(behind)
                order.insert(order.index(before) + is_rightwards, name)
    return [*order, *(name for name in names if name not in order)]


def lay_out(names: list[str], messages: list[Message], width: int) -> Columns | None:
    """Return columns far enough from each other for what is to stand between them, if there is room."""
    if not names:
        return None
    first = TIME + 2 + min(len(names[0]) // 2, 6)
    remarks = max((len("; ".join(message.remarks)) for message in messages), default=0)
    room = width - first - min(remarks + 2, int(REMARK * width))
    wanted = max([NARROW, *(len(name) + 2 for name in names), *widths(names, messages)])
    gap = min(wanted, room // (len(names) - 1)) if len(names) > 1 else 0
    if len(names) > 1 and gap < NARROWEST:
        return None
    return Columns({name: first + number * gap for number, name in enumerate(names)}, width)


def widths(names: list[str], messages: list[Message]) -> list[int]:
    """Return for each message how far from each other columns are to be for its words."""
    return [
        len(one.label) + 7
        for one in messages
        if one.source in names and one.target in names and one.source != one.target
    ]
