"""TLS, as far as it is to be read without a key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .layer import Layer

CHANGE_CIPHER_SPEC, ALERT, HANDSHAKE, APPLICATION_DATA = 20, 21, 22, 23
CLIENT_HELLO = 1
LARGEST = 16384 + 2048
"""Bytes of a record, at most: TLS 1.2 allows that many beyond the plain text (RFC 5246)."""
HANDSHAKES = {
    0: "HelloRequest",
    1: "ClientHello",
    2: "ServerHello",
    4: "NewSessionTicket",
    8: "EncryptedExtensions",
    11: "Certificate",
    12: "ServerKeyExchange",
    13: "CertificateRequest",
    14: "ServerHelloDone",
    15: "CertificateVerify",
    16: "ClientKeyExchange",
    20: "Finished",
    22: "CertificateStatus",
    24: "KeyUpdate",
}
ALERTS = {
    0: "close notify",
    10: "unexpected message",
    20: "bad record MAC",
    22: "record overflow",
    40: "handshake failure",
    42: "bad certificate",
    43: "unsupported certificate",
    44: "certificate revoked",
    45: "certificate expired",
    46: "certificate unknown",
    47: "illegal parameter",
    48: "unknown CA",
    49: "access denied",
    50: "decode error",
    51: "decrypt error",
    70: "protocol version",
    71: "insufficient security",
    80: "internal error",
    86: "inappropriate fallback",
    90: "user canceled",
    109: "missing extension",
    110: "unsupported extension",
    112: "unrecognized name",
    113: "bad certificate status response",
    115: "unknown PSK identity",
    116: "certificate required",
    120: "no application protocol",
}


class Record(NamedTuple):
    """A record of TLS: its type, its content as far as there is data, and its length as it was sent."""

    type: int
    content: bytes
    length: int


class TLS(Layer):
    """The records of TLS in a segment that begins with one."""

    __slots__ = ()
    name = "TLS"
    minimum = 5

    @classmethod
    def fits(cls, data: bytes, start: int, end: int) -> bool:
        """Whether a record begins here."""
        return (
            super().fits(data, start, end)
            and CHANGE_CIPHER_SPEC <= data[start] <= APPLICATION_DATA
            and data[start + 1] == 3
            and data[start + 2] <= 4
            and 0 < int.from_bytes(data[start + 3 : start + 5], "big") <= LARGEST
        )

    def records(self) -> Iterator[Record]:
        """Yield the records that begin in this segment."""
        at = self.start
        while self.fits(self.data, at, self.end):
            length = int.from_bytes(self.data[at + 3 : at + 5], "big")
            yield Record(self.data[at], self.data[at + 5 : min(at + 5 + length, self.end)], length)
            at += 5 + length

    def messages(self) -> Iterator[str]:
        """Yield what the records are, in words; what is encrypted as far as this shows."""
        for record in self.records():
            if record.type == HANDSHAKE:
                yield from handshakes(record)
            elif record.type == ALERT:
                yield alert(record)
            elif record.type == APPLICATION_DATA:
                yield f"{record.length} B encrypted"
            # Change cipher spec is a relic that tells nothing (RFC 8446, D.4).

    @property
    def server_name(self) -> str | None:
        """Whom a ClientHello asks for (SNI)."""
        for record in self.records():
            if record.type == HANDSHAKE and record.content[:1] == bytes([CLIENT_HELLO]):
                return server_name(record.content)
        return None


def alert(record: Record) -> str:
    """Return what an alert says."""
    if record.length != 2 or len(record.content) != 2:
        return "alert, encrypted"
    return f"alert: {ALERTS.get(record.content[1]) or record.content[1]}"


def handshakes(record: Record) -> Iterator[str]:
    """Yield the types of the messages in a record of the handshake."""
    rest, left = record.content, record.length
    while len(rest) >= 4 and left >= 4:
        name, length = HANDSHAKES.get(rest[0]), int.from_bytes(rest[1:4], "big")
        if name is None or length > 1 << 20:
            break  # the bytes of what is encrypted are random
        yield name
        rest, left = rest[4 + length :], left - 4 - length
    if left == record.length:
        yield "handshake, encrypted"


def server_name(hello: bytes) -> str | None:
    """Return the server's name that a ClientHello has, of which the end may be missing."""
    at = 4 + 2 + 32  # the message's header, the version, random bytes
    for size in (1, 2, 1):  # the session's id, cipher suites, compressions
        at += size + int.from_bytes(hello[at : at + size], "big")
    at += 2  # the length of all extensions
    while at + 4 <= len(hello):
        kind, length = int.from_bytes(hello[at : at + 2], "big"), int.from_bytes(hello[at + 2 : at + 4], "big")
        if kind == 0:
            # The list's length, the kind of name and the name's length come before it.
            return hello[at + 9 : at + 4 + length].decode("ascii", "replace")
        at += 4 + length
    return None
