"""The first line of HTTP/1."""

from __future__ import annotations

import re

from .layer import Layer

FIRST_LINE = re.compile(rb"(?:[A-Z]{3,10} \S{1,2000} HTTP/1\.[01]|HTTP/1\.[01] \d{3}[^\r\n]{0,200})(?=\r?\n)")


class HTTP(Layer):
    """A request or response of HTTP/1, in the segment in which it begins."""

    __slots__ = ()
    name = "HTTP"

    @classmethod
    def fits(cls, data: bytes, start: int, end: int) -> bool:
        """Whether it begins with such a line."""
        return FIRST_LINE.match(data, start, end) is not None

    @property
    def first_line(self) -> str:
        found = FIRST_LINE.match(self.data, self.start, self.end)
        return found.group().decode("latin-1") if found else ""
