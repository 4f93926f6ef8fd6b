"""The statements of a text: which ends, settings and names stand in a line."""

from __future__ import annotations

import dataclasses
from typing import NoReturn, TypeAlias

from ..._errors import is_meant
from ..errors import TopologyError
from ..model import End, Position
from . import checks
from .tokens import LINK_SIGN, Token, tokenize

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

Words: TypeAlias = "list[Token]"
"""What stands between brackets."""


@dataclasses.dataclass
class Stage:
    """The ends beside a ``--``: one, or those of a group."""

    ends: list[End]
    at: Position
    is_group: bool


@dataclasses.dataclass
class Statement:
    """A line: its stages, or names; and its settings."""

    stages: list[Stage]
    links: list[Words]
    """The settings between each two stages; none in a statement about nodes."""
    settings: Words
    """Those at the end."""


class Line:
    """A line, read token by token."""

    def __init__(self, text: str, number: int, line: str) -> None:
        self._text = text
        self._number = number
        self._tokens = tokenize(text, number, line)
        self._index = 0
        self._end = len(line.rstrip())

    def read(self) -> Statement | None:
        """Return the statement, or ``None`` if the line has none.

        :raises TopologyError: it is none.
        """
        if not self._tokens:
            return None
        first = self._stage()
        if self._sees(LINK_SIGN):
            return self._links(first)
        return self._nodes(first)

    def _links(self, first: Stage) -> Statement:
        stages = [first]
        links: list[Words] = []
        while self._sees(LINK_SIGN):
            self._index += 1
            settings: Words = []
            if self._sees("["):
                bracket = self._peek()
                settings = self._settings()
                if not self._sees(LINK_SIGN):
                    self._fail("the settings of a link stand between two '--'", bracket, "write: a -- [mtu=1400] -- b")
                self._index += 1
            links.append(settings)
            stages.append(self._stage())
        settings = self._settings() if self._sees("[") else []
        if self._sees(LINK_SIGN):
            hint = "those of one link stand between two '--', those at the end of a line belong to all its links"
            self._fail("settings stand before '--'", self._peek(), f"{hint}: a -- [mtu=1400] -- b")
        self._done("'--', or settings such as [mtu=1400]")
        return Statement(stages, links, settings)

    def _nodes(self, first: Stage) -> Statement:
        stages = [first]
        while self._sees(","):
            self._index += 1
            stages.append(self._stage())
        if self._sees(LINK_SIGN) and len(stages) > 1:
            names = " ".join(end.node for stage in stages for end in stage.ends)
            self._fail("a list of names has no links", self._peek(), f"write a group instead: {{{names}}} -- ...")
        settings = self._settings() if self._sees("[") else []
        self._done("'--', or settings such as [router]")
        seen: set[str] = set()
        for stage in stages:
            if stage.ends[0].node in seen:
                self._fail(f"{stage.ends[0].node} is in the list twice", stage.at, "name it once")
            seen.add(stage.ends[0].node)
            if stage.is_group:
                self._fail(
                    "a group without a link", stage.at, "names in a statement about nodes have commas: a, b [router]"
                )
            if stage.ends[0].interface is not None:
                self._fail("an interface without a link", stage.at, f"write the name alone: {stage.ends[0].node}")
        return Statement(stages, [], settings)

    def _stage(self) -> Stage:
        token = self._peek()
        if token is not None and token.text == "{":
            return self._group(token)
        end = self._name("a name")
        assert end.at is not None
        return Stage([end], end.at, False)

    def _group(self, opening: Token) -> Stage:
        self._index += 1
        ends: list[End] = []
        while not self._sees("}"):
            if self._sees(","):
                self._fail("a comma in a group", self._peek(), "names in a group have blanks between them: {a b c}")
            end = self._name("a name")
            if end in ends:
                self._fail(
                    f"{end.node} is in the group twice",
                    end.at,
                    "name it once, or give each its interface: {a:eth0 a:eth1}",
                )
            ends.append(end)
        closing = self._tokens[self._index]
        self._index += 1
        at = Position(self._number, opening.column, closing.column + 1 - opening.column)
        if not ends:
            self._fail("a group of nobody", at, "names stand between the braces: {a b c}")
        return Stage(ends, at, True)

    def _name(self, expected: str) -> End:
        token = self._peek()
        if token is None or not token.is_word:
            found = "the end of the line" if token is None else repr(token.text)
            self._fail(f"{found} where a name belongs", token, f"expected {expected}, as in: client -- server")
        self._index += 1
        name, colon, interface = token.text.partition(":")
        try:
            checks.node_name(name)
            if colon:
                checks.interface_name(interface)
        except checks.Refused as refused:
            self._fail(refused.message, token, refused.hint)
        return End(name, interface if colon else None, Position(self._number, token.column, len(token.text)))

    def _settings(self) -> Words:
        opening = self._peek()
        self._index += 1
        start = self._index
        while not self._sees("]"):
            self._index += 1
        self._index += 1
        found = self._tokens[start : self._index - 1]
        if not found:
            self._fail("brackets without settings", opening, "leave them out, or write settings: [mtu=1400]")
        return found

    def _done(self, expected: str) -> None:
        token = self._peek()
        if token is not None:
            self._fail(f"{token.text!r} is one too many", token, f"expected {expected}, or the end of the line")

    def _peek(self) -> Token | None:
        return self._tokens[self._index] if self._index < len(self._tokens) else None

    def _sees(self, text: str) -> bool:
        return self._index < len(self._tokens) and self._tokens[self._index].text == text

    def _fail(self, message: str, where: Token | Position | None, hint: str) -> NoReturn:
        if where is None:
            where = Position(self._number, self._end)
        elif isinstance(where, Token):
            where = Position(self._number, where.column, len(where.text))
        raise TopologyError(message, self._text, where, hint)
