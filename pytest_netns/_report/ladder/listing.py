"""The ladder as a list, for more hosts than there is room for columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .columns import TIME
from .fates import LOST, STOPPED
from .folding import Omission, Pause, Row
from .messages import Message
from .recording import Note
from .words import Clock, duration, omitted


def listed(rows: Sequence[Row], clock: Clock, width: int) -> list[str]:
    """Return a line for each row: the time, from whom to whom, what, and what is to be said about it."""
    pairs = [pair(row) for row in rows if isinstance(row, Message)]
    widest = min(max(map(len, pairs), default=0), width // 2)
    lines = [f"{clock.unit:>{TIME}}"] if rows else []
    for row in rows:
        begin = f"{'' if isinstance(row, (Pause, Omission)) else clock(row.time):>{TIME}}  "
        text = begin + "  ".join(filter(None, words(row, widest)))
        lines.append(text if len(text) <= width else f"{text[: width - 1]}…")
    return lines


def pair(message: Message) -> str:
    """Return from whom to whom a message was sent."""
    head = "✗" if message.fate.kind in (LOST, STOPPED) else "→"
    return f"{message.source or '?'} {head} {message.target or '?'}"


def words(row: Row, widest: int) -> Iterator[str]:
    """Yield what is to be said about a row."""
    if isinstance(row, Message):
        yield pair(row).ljust(widest)
        yield row.label
        yield f"({'; '.join(row.remarks)})" if row.remarks else ""
    elif isinstance(row, Note):
        yield f"{row.namespace}: {row.text}" if row.namespace else f"▸ {row.text}"
    elif isinstance(row, Pause):
        yield f"┊ {duration(row.length)} later"
    else:
        yield f"⋮ {omitted(row)}"
