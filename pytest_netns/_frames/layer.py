"""A part of a frame: a header, and what it carries."""

from __future__ import annotations

from typing import ClassVar


class Layer:
    """A part of a frame: a header, and what it carries.

    A field is read when it is asked for, so a layer that nobody looks into costs next to nothing. The frame may be cut,
    or lie about its lengths: ``start`` and ``end`` are never outside of the layer around this one, and what is beyond
    the data is empty.
    """

    __slots__ = ("data", "end", "start")
    name: ClassVar[str]
    minimum: ClassVar[int] = 0
    """Bytes that have to be there, for the fields that every such header has."""

    def __init__(self, data: bytes, start: int, end: int) -> None:
        self.data = data
        self.start = start
        self.end = end
        """Where it ended as it was sent, though the data may be cut before."""

    @classmethod
    def fits(cls, data: bytes, start: int, end: int) -> bool:
        """Whether there is such a header."""
        return start + cls.minimum <= end and start + cls.minimum <= len(data)

    @property
    def header_length(self) -> int:
        return self.minimum

    @property
    def stop(self) -> int:
        """Where ends what it carries, which may be followed by padding."""
        return self.end

    @property
    def inner(self) -> int:
        """Where begins what it carries."""
        return self.start + self.header_length

    @property
    def payload(self) -> bytes:
        """What it carries, as far as there is data."""
        return self.data[self.inner : max(self.stop, self.inner)]

    @property
    def payload_length(self) -> int:
        """How many bytes it carries, as they were sent."""
        return max(self.stop - self.inner, 0)

    @property
    def length(self) -> int:
        """How many bytes it has with what it carries, as they were sent."""
        return self.end - self.start

    def number(self, offset: int, size: int) -> int:
        """Return a number of its header, which has to have that many bytes."""
        start = self.start + offset
        return int.from_bytes(self.data[start : start + size], "big")

    def part(self, offset: int, size: int) -> bytes:
        """Return bytes of its header."""
        start = self.start + offset
        return self.data[start : start + size]

    def __repr__(self) -> str:
        return f"<{self.name}, {self.length} B>"


class Unknown(Layer):
    """Bytes of which nothing is known."""

    __slots__ = ()
    name = "unknown"
