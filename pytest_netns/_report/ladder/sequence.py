"""The ladder as a sequence diagram of Mermaid, which GitHub and GitLab show in Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from .columns import ends_of, in_order
from .drawing import addresses_of, prepared
from .fates import ARRIVED
from .folding import Omission, Pause, Row, fit, rows_of
from .messages import BAD, FINE, ODD, Message
from .recording import Note, Recording
from .words import Clock, duration, omitted

PLAIN = frozenset(" .,_/()=?!*'|~→▸✗…")
"""What means nothing to Mermaid, as letters and digits do."""
END = re.compile(r"\bend\b", re.IGNORECASE)  # which ends a block
LONGEST = 120
"""Characters of a text; a diagram as a whole may have 50,000."""
MARKS = {FINE: "", ODD: "⚠️ ", BAD: "❌ "}


def sequence(recording: Recording, rows: int = 40) -> str:
    """Return a diagram of what was sent, or nothing if nothing was.

    ``rows`` are its messages and notes, at most: what is left out is counted.
    """
    shown, notes, counted = prepared(recording)
    chosen = fit(rows_of(shown, notes), rows)
    names = participants(chosen, recording.hosts)
    if not names:
        return ""
    ids = {name: f"h{number}" for number, name in enumerate(names)}
    addresses = addresses_of(shown)
    clock = Clock(recording.start, [row.time for row in chosen])
    lines = ["sequenceDiagram"]
    for name, identifier in ids.items():
        address = f"<br/>{escaped(addresses[name])}" if name in addresses else ""
        lines.append(f"    participant {identifier} as {escaped(name)}{address}")
    lines += [f"    {text}" for row in chosen for text in statements(row, ids, clock)]
    if str(counted):
        lines.append(f"    {over(ids.values(), f'not shown: {counted}')}")
    return "\n".join(lines)


def participants(rows: Sequence[Row], hosts: Sequence[str]) -> list[str]:
    """Return the hosts that have sent, forwarded or received something, each that only forwards between its ends."""
    messages = [row for row in rows if isinstance(row, Message)]
    ends = {name for message in messages for name in ends_of(message)}
    passed = {name for message in messages for name in message.passed}
    return in_order([name for name in hosts if name in ends | passed], messages, passed - ends)


def statements(row: Row, ids: dict[str, str], clock: Clock) -> Iterator[str]:
    """Yield the lines of a row."""
    if isinstance(row, Message):
        yield arrow(row, ids, f"{clock(row.time)} {clock.unit}")
    elif isinstance(row, Note) and row.namespace in ids:
        yield f"Note right of {ids[row.namespace]}: {escaped(row.text)}"
    elif isinstance(row, Note):
        yield over(ids.values(), f"▸ {row.namespace + ': ' if row.namespace else ''}{row.text}")
    elif isinstance(row, Pause):
        yield over(ids.values(), f"{duration(row.length)} later")
    elif isinstance(row, Omission):
        yield over(ids.values(), omitted(row))


def arrow(message: Message, ids: dict[str, str], time: str) -> str:
    """Return the line of a message: an arrow to where it got, with a cross if that is not where it was to get."""
    remarks = f" ({'; '.join(message.remarks)})" if message.remarks else ""
    text = f"{time} {MARKS[message.mark]}{message.label}{remarks}"
    source, target = (ids.get(name or "") for name in (message.source, message.target))
    if not (source and target):
        return over([source or target or next(iter(ids.values()))], text)
    line = "--" if message.mark == ODD else "-"
    return f"{source}{line}{'>>' if message.fate.kind == ARRIVED else 'x'}{target}: {escaped(text)}"


def over(ids: Iterable[str], text: str) -> str:
    """Return a note beside all of some participants."""
    every = list(ids)
    ends = every[0] if len(every) == 1 else f"{every[0]},{every[-1]}"
    return f"Note over {ends}: {escaped(text)}"


def escaped(text: str) -> str:
    """Return a text in which Mermaid finds no syntax: its other characters by their numbers, as it wants them."""
    shown = text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
    plain = (one if one.isalnum() or one in PLAIN or one in "⚠️❌" else f"#{ord(one)};" for one in shown)
    return END.sub(lambda found: f"#{ord(found[0][0])};{found[0][1:]}", "".join(plain))
