"""Messages of DNS."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import NamedTuple

from .layer import Layer

TYPES = {
    1: "A",
    2: "NS",
    5: "CNAME",
    6: "SOA",
    12: "PTR",
    15: "MX",
    16: "TXT",
    28: "AAAA",
    33: "SRV",
    35: "NAPTR",
    41: "OPT",
    43: "DS",
    46: "RRSIG",
    47: "NSEC",
    48: "DNSKEY",
    64: "SVCB",
    65: "HTTPS",
    251: "IXFR",
    252: "AXFR",
    255: "ANY",
    257: "CAA",
}
RCODES = {
    0: "NOERROR",
    1: "FORMERR",
    2: "SERVFAIL",
    3: "NXDOMAIN",
    4: "NOTIMP",
    5: "REFUSED",
    6: "YXDOMAIN",
    7: "YXRRSET",
    8: "NXRRSET",
    9: "NOTAUTH",
    10: "NOTZONE",
}
LABELS = 128
"""Of a name, at most, with the pointers between them: RFC 1035 allows 255 bytes."""


class BrokenName(ValueError):
    """A name ends nowhere, or goes round in a circle."""


class Question(NamedTuple):
    """What is asked for."""

    name: str
    type: str


class Answer(NamedTuple):
    """A record of an answer."""

    name: str
    type: str
    ttl: int
    value: str
    """An address or a name, or the record's data as hexadecimal digits."""


class DNS(Layer):
    """A message of DNS."""

    __slots__ = ()
    name = "DNS"
    minimum = 12

    @property
    def identifier(self) -> int:
        return self.number(0, 2)

    @property
    def is_response(self) -> bool:
        return bool(self.data[self.start + 2] & 0x80)

    @property
    def is_truncated(self) -> bool:
        return bool(self.data[self.start + 2] & 0x02)

    @property
    def rcode(self) -> str:
        number = self.data[self.start + 3] & 15
        return RCODES.get(number) or f"RCODE{number}"

    @property
    def questions(self) -> list[Question]:
        """What is asked for, as far as it can be read."""
        return list(self._questions(Reader(self)))

    @property
    def answers(self) -> list[Answer]:
        """The records that answer, as far as they can be read."""
        reader = Reader(self)
        asked = len(list(self._questions(reader)))
        return list(self._answers(reader)) if asked == self.number(4, 2) else []

    def _questions(self, reader: Reader) -> Iterator[Question]:
        for _ in range(self.number(4, 2)):
            try:
                name = reader.name()
                kind = type_name(reader.number(2))
                reader.number(2)  # the class
            except BrokenName:
                return
            yield Question(name, kind)

    def _answers(self, reader: Reader) -> Iterator[Answer]:
        for _ in range(self.number(6, 2)):
            try:
                name = reader.name()
                kind = type_name(reader.number(2))
                reader.number(2)
                ttl = reader.number(4)
                value = reader.value(kind)
            except BrokenName:
                return
            yield Answer(name, kind, ttl, value)


def type_name(number: int) -> str:
    """Return what a type of record is called."""
    return TYPES.get(number) or f"TYPE{number}"


class Reader:
    """Reads a message from the beginning on; whatever cannot be read is a :class:`BrokenName`."""

    def __init__(self, message: Layer) -> None:
        self._message = message.data[message.start : message.end]
        self._at = 12

    def number(self, size: int) -> int:
        """Read a number."""
        return int.from_bytes(self.take(size), "big")

    def take(self, size: int) -> bytes:
        """Read bytes."""
        taken = self._message[self._at : self._at + size]
        if len(taken) < size:
            raise BrokenName("the message ends")
        self._at += size
        return taken

    def name(self) -> str:
        """Read a name."""
        name, self._at = self._name_at(self._at)
        return name

    def value(self, kind: str) -> str:
        """Read the data of a record."""
        size = self.number(2)
        begin = self._at
        data = self.take(size)
        if kind == "A" and size == 4:
            return socket.inet_ntoa(data)
        if kind == "AAAA" and size == 16:
            return socket.inet_ntop(socket.AF_INET6, data)
        if kind in ("CNAME", "NS", "PTR"):
            return self._name_at(begin)[0]
        if kind in ("MX", "SRV"):
            return self._name_at(begin + {"MX": 2, "SRV": 6}[kind])[0]
        if kind == "TXT":
            return data[1:].decode("latin-1")
        return data.hex()

    def _name_at(self, at: int) -> tuple[str, int]:
        """Return a name, and where what follows it begins."""
        labels: list[str] = []
        behind = None
        for _ in range(LABELS):
            length = self._byte(at)
            if length >= 0xC0:
                behind = at + 2 if behind is None else behind
                at = (length & 0x3F) << 8 | self._byte(at + 1)
            elif length:
                label = self._message[at + 1 : at + 1 + length]
                if length > 63 or len(label) < length:
                    raise BrokenName("a label is too long")
                labels.append(label.decode("latin-1"))
                at += 1 + length
            else:
                return ".".join(labels) or ".", at + 1 if behind is None else behind
        raise BrokenName("a name has too many labels")

    def _byte(self, at: int) -> int:
        if at >= len(self._message):
            raise BrokenName("the message ends")
        return self._message[at]


class DNSOverTCP(Layer):
    """The length that comes before each message of DNS over TCP."""

    __slots__ = ()
    name = "DNS over TCP"
    minimum = 2

    @property
    def stop(self) -> int:
        return min(self.end, self.start + 2 + self.number(0, 2))
