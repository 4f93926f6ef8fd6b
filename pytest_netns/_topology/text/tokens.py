"""The words and brackets of a line."""

from __future__ import annotations

import re
from typing import NamedTuple

from ..._errors import is_meant
from ..errors import TopologyError
from ..model import Position

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

LINK_SIGN = "--"
MARKS = frozenset("[]{},")

OUTSIDE = re.compile(r"\s*([\[\]{},]|[^\s\[\]{},#]+)")
INSIDE = re.compile(r'\s*([\[\]{}]|(?:"(?:[^"\\]|\\.)*"|[^\s\[\]{}#"])+|".*)')
"""The same between brackets, where commas and quoted text belong to words."""

LIKE_A_LINK = frozenset({"-", "---", "->", "-->", "<->", "<-->", "=", "==", "—", "–", "―", "→", "↔", "~", "|"})  # noqa: RUF001
GLUED = "put blanks around '--', as in: client -- server"


class Token(NamedTuple):
    """A word or a bracket, and its column."""

    text: str
    column: int

    @property
    def is_word(self) -> bool:
        return self.text[0] not in MARKS and self.text != LINK_SIGN


def tokenize(text: str, number: int, line: str) -> list[Token]:
    """Return the tokens of a line, without blanks and the comment.

    :param text: the whole text, for errors.
    :param number: the number of the line, from 0.
    :raises TopologyError: a quotation mark or a bracket has no partner, or ``--`` stands without blanks.
    """
    tokens: list[Token] = []
    opened: Token | None = None
    column = 0
    while match := (INSIDE if opened and opened.text == "[" else OUTSIDE).match(line, column):
        token = Token(match[1], match.start(1))
        column = match.end()
        if token.text in ("[", "{", "]", "}"):
            opened = balance(text, number, opened, token)
        elif opened is None or opened.text == "{":
            check_link_sign(text, number, line, token)
        elif token.text[0] == '"' and not re.fullmatch(r'"(?:[^"\\]|\\.)*"', token.text):
            raise TopologyError(
                "a quotation mark has no partner",
                text,
                Position(number, token.column),
                'quoted text ends in the same line: net.ipv4.tcp_rmem="4096 87380 6291456"',
            )
        tokens.append(token)
    if opened:
        close = {"[": "]", "{": "}"}[opened.text]
        message = f"{opened.text!r} is not closed in its line"
        raise TopologyError(message, text, Position(number, opened.column), f"expected {close!r}")
    return tokens


def balance(text: str, number: int, opened: Token | None, token: Token) -> Token | None:
    """Return the bracket that is open after another one."""
    at = Position(number, token.column)
    if token.text in "[{":
        if opened is None:
            return token
        if opened.text == token.text == "{":
            raise TopologyError("a group inside a group", text, at, "write all names into one pair of braces: {a b c}")
        close = {"[": "]", "{": "}"}[opened.text]
        raise TopologyError(f"{token.text!r} inside of {opened.text!r}", text, at, f"expected {close!r} before it")
    if opened is None or opened.text + token.text not in ("[]", "{}"):
        hint = "settings stand in brackets: [mtu=1400], groups in braces: {a b}"
        raise TopologyError(f"{token.text!r} closes nothing", text, at, hint)
    return None


def check_link_sign(text: str, number: int, line: str, token: Token) -> None:
    """Check that a word is no ``--`` without blanks around it, and nothing that was meant as one."""
    at = Position(number, token.column, len(token.text))
    if token.text in LIKE_A_LINK:
        raise TopologyError(f"{token.text!r} is no link", text, at, "a link is written '--', as in: client -- server")
    if LINK_SIGN not in token.text:
        return
    end = token.column + len(token.text)
    around = line[token.column - 1 : token.column] + line[end : end + 1]
    if token.text != LINK_SIGN or around.strip().strip("#"):
        place = token.column + token.text.index(LINK_SIGN)
        raise TopologyError("'--' has no blanks around it", text, Position(number, place, 2), GLUED)
