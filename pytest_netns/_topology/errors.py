"""The error about a network that cannot be, which shows the place in its text."""

from __future__ import annotations

from collections.abc import Collection

from .._errors import NetNSError
from .model import Position

WIDTH = 100
"""Columns of the line of a text that an error shows, at most."""


class TopologyError(NetNSError, ValueError):
    """A network is described wrongly, or cannot be; nothing was made.

    Its text shows the line, with a caret below what is meant, what is valid, and the nearest word that is known.
    """

    __module__ = "pytest_netns"

    message: str
    """What is wrong, in one sentence."""
    line: int | None
    """The number of the line in the text, from 1, or ``None`` if no line is to blame."""
    column: int | None
    """The number of the character in the line, from 1."""

    def __init__(
        self,
        message: str,
        text: str | None = None,
        at: Position | None = None,
        hint: str = "",
        word: str = "",
        known: Collection[str] = (),
    ) -> None:
        """Say what is wrong with a network.

        :param message: what is wrong, in one sentence without a full stop.
        :param text: the text of the network, if it has one.
        :param at: where in it.
        :param hint: what is valid, or what to do.
        :param word: what was written, if another word may have been meant.
        :param known: the words that could have been.
        """
        super().__init__(message, text, at, hint, word, tuple(known))  # pickle calls us with these
        self.message = message
        self.line = at.line + 1 if at else None
        self.column = at.column + 1 if at else None
        self._text = text
        self._at = at
        self._hint = hint
        self._nearest = nearest(word, known)

    def __str__(self) -> str:
        rows = [self.message]
        if self._at is not None:
            rows += excerpt(self._text or "", self._at)
        meant = f"did you mean {self._nearest!r}?" if self._nearest else ""
        advice = "; ".join(filter(None, [self._hint, meant]))
        return "\n".join([*rows, advice] if advice else rows)


def nearest(word: str, known: Collection[str]) -> str | None:
    """Return the known word that is most like another one, or ``None`` if none is near."""
    from difflib import get_close_matches

    return next(iter(get_close_matches(word.lower(), known, 1)), None)


def excerpt(text: str, at: Position) -> list[str]:
    """Return a line of a text, and below it carets at a position."""
    lines = text.split("\n")
    raw = lines[at.line] if at.line < len(lines) else ""
    line = "".join(character if character.isprintable() else " " for character in raw)  # one column for each
    start = len(line) - len(line.lstrip())
    if at.column + at.length > start + WIDTH:
        start = max(start, at.column - WIDTH // 2)
    shown = line[start : start + WIDTH].rstrip()
    before = "… " if line[:start].strip() else ""
    after = " …" if line[start + WIDTH :].strip() else ""
    head = f"  line {at.line + 1}: {before}"
    offset = max(at.column - start, 0)
    carets = "^" * max(min(at.length, WIDTH - offset), 1)
    return [head + shown + after, " " * (len(head) + offset) + carets]
