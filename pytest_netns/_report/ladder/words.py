"""Times, colours and characters."""

from __future__ import annotations

from collections.abc import Iterable

from .folding import Omission, Pause, Row
from .messages import BAD, ODD, Message

SECOND, MILLISECOND = 1_000_000_000, 1_000_000
TO_ASCII = str.maketrans("│┊─┼├┤╴▶◀▷◁✗→▸⋮…", "|:-+||-><><x>>:.")
RED, YELLOW, CYAN, DIM = 31, 33, 36, 2


class Clock:
    """Tells times since the test began, all of a drawing in one unit."""

    def __init__(self, start: int, times: Iterable[int]) -> None:
        self._start = start
        longest = max((abs(time - start) for time in times), default=0)
        self.unit = "s" if longest >= SECOND else "ms"

    def __call__(self, time: int) -> str:
        """Return a time."""
        since = time - self._start
        return f"{since / SECOND:.3f}" if self.unit == "s" else f"{since / MILLISECOND:.2f}"


def duration(nanoseconds: int) -> str:
    """Return a length of time, to three digits."""
    if nanoseconds >= SECOND:
        return f"{nanoseconds / SECOND:.3g} s"
    return f"{nanoseconds / MILLISECOND:.3g} ms"


def omitted(row: Omission) -> str:
    """Return what is left out."""
    return f"{' and '.join(filter(None, [plural(row.messages, 'message'), plural(row.notes, 'line')]))} left out"


def plural(count: int, noun: str) -> str:
    """Return how many there are, or nothing if there are none."""
    return f"{count:,} {noun}{'s' * (count != 1)}" if count else ""


def printable(text: str) -> str:
    """Return a text on one line, without what moves the cursor."""
    return "".join(one if one.isprintable() else " " if one.isspace() else "?" for one in text.rstrip())


def painted(text: str, row: Row | None) -> str:
    """Return a line in the colour of what it is about."""
    if row is None:
        return text
    if isinstance(row, Message):
        color = {ODD: YELLOW, BAD: RED}.get(row.mark)
    else:
        color = DIM if isinstance(row, (Pause, Omission)) else CYAN
    return f"\x1b[{color}m{text}\x1b[0m" if color else text


def in_encoding(text: str, encoding: str) -> str:
    """Return a text that an encoding has the characters for."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(TO_ASCII).encode(encoding, "replace").decode(encoding)
    return text
