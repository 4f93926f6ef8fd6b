"""The ladder as text."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from .arrows import PAUSED, Canvas
from .columns import TIME, Columns, columns_of
from .conversations import name_conversations
from .folding import Counted, Omission, Pause, Row, fit, rows_of, sift
from .listing import listed
from .marks import mark
from .messages import Message, messages_of
from .recording import Note, Recording
from .words import Clock, duration, in_encoding, omitted, painted, printable

HEADER = 2
"""Lines, at most: names and addresses."""


def draw(recording: Recording, width: int = 100, lines: int = 40, color: bool = False, encoding: str = "utf-8") -> str:
    """Return a drawing of what was sent.

    ``width`` are its columns, ``lines`` its lines, at most: what is left out is counted. In an ``encoding`` that lacks
    the characters, arrows are made of ASCII.
    """
    shown, notes, counted = prepared(recording)
    below = footer(counted, width)
    rows = fit(rows_of(shown, notes), lines - HEADER - len(below))
    clock = Clock(recording.start, [row.time for row in rows])
    columns = columns_of(rows, recording.hosts, width)
    if columns:
        drawn = [*header(columns, shown, clock), *(line(row, columns, clock) for row in rows)]
    else:
        drawn = listed(rows, clock, width)
    if color:
        head = len(drawn) - len(rows)
        drawn[head:] = [painted(text, row) for text, row in zip(drawn[head:], rows, strict=True)]
    return in_encoding("\n".join([*drawn, *below]), encoding)


def prepared(recording: Recording) -> tuple[list[Message], list[Note], Counted]:
    """Return the messages that are shown, marked and named, what else happened, and what is only counted."""
    messages = messages_of(recording)
    mark(messages)
    shown, counted = sift(messages)
    name_conversations(shown)
    return shown, [note._replace(text=printable(note.text)) for note in recording.notes], counted


def header(columns: Columns, messages: list[Message], clock: Clock) -> Iterator[str]:
    """Yield the names of the hosts, and an address that each has used."""
    addresses = addresses_of(messages)
    yield names({name: name for name in columns.at}, columns, f"{clock.unit:>{TIME}}")
    if addresses:
        yield names(addresses, columns)


def addresses_of(messages: list[Message]) -> dict[str, str]:
    """Return an address that each host has used."""
    addresses: dict[str, str] = {}
    for message in messages:
        for name, end in zip((message.source, message.receiver), message.ends[1:], strict=True):
            if name and end:
                addresses.setdefault(name, end[0])
    return addresses


def names(texts: dict[str, str], columns: Columns, begin: str = "") -> str:
    """Return a line with a text above each column, as near to its middle as there is room."""
    line = begin.ljust(TIME + 1)
    for name, at in columns.at.items():
        text = texts.get(name, "")
        line = line.ljust(max(at - len(text) // 2, len(line) + bool(text.strip()) * 2 - (len(line) == TIME + 1)))
        line += text
    return line[: columns.width].rstrip()


def line(row: Row, columns: Columns, clock: Clock) -> str:
    """Return the line of a row."""
    canvas = Canvas(columns, PAUSED if isinstance(row, (Pause, Omission)) else "│")
    beside = columns.first + 2
    if isinstance(row, Message):
        canvas.arrow(row)
        canvas.write(max(columns.last + 2, len(str(canvas)) + 1), "; ".join(row.remarks))
    elif isinstance(row, Note):
        write_note(canvas, row, columns)
    elif isinstance(row, Pause):
        canvas.write(beside, f"{duration(row.length)} later ")
    else:
        canvas.write(beside, f"{omitted(row)} ")
    if isinstance(row, (Message, Note)):
        canvas.write(0, f"{clock(row.time):>{TIME}}")
    return str(canvas)


def write_note(canvas: Canvas, note: Note, columns: Columns) -> None:
    """Write a note beside the line of its host, or further left with the host's name if there is little room."""
    beside = columns.first + 2
    if note.namespace is None:
        canvas.write(beside, f"▸ {note.text} ")
        return
    at = columns.at.get(note.namespace)
    if at is not None and at + 2 + min(len(note.text), 24) <= columns.width:
        canvas.write(at + 2, f"{note.text} ")
    else:
        text = f"{note.namespace}: {note.text} "
        canvas.write(max(beside, min(columns.last + 2, columns.width - len(text))), text)


def footer(counted: Counted, width: int) -> list[str]:
    """Return what is only counted."""
    text = str(counted)
    return textwrap.wrap(f"not shown: {text}", width, subsequent_indent=" " * 11) if text else []
