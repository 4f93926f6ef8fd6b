"""ICMP of both families: echo requests, and what comes back about a packet that was sent."""

from __future__ import annotations

import socket
import struct
from typing import NamedTuple

ANSWERED, REFUSED, UNREACHABLE, EXPIRED, FAILED = "answered", "refused", "unreachable", "expired", "failed"
HEADER = struct.Struct("!BBHHH")
PAYLOAD = b"pytest-netns"
IPV4_HEADER, IPV6_HEADER = 20, 40  # bytes, without options: RFC 791, RFC 8200


class Kind(NamedTuple):
    """The numbers of one family."""

    protocol: int
    request: int
    reply: int
    errors: dict[int, str]
    """The types that are about another packet, and what they mean."""
    codes: dict[int, str]
    """Of the type that says something is unreachable."""
    prohibited: frozenset[int]
    """Those of them by which a packet filter says so, and no host that knows no way or has no such service."""


IPV4 = Kind(
    socket.IPPROTO_ICMP,
    8,
    0,
    {3: UNREACHABLE, 11: EXPIRED},
    {
        0: "network unreachable",
        1: "host unreachable",
        2: "protocol unreachable",
        3: "port unreachable",
        4: "fragmentation needed",
        5: "source route failed",
        6: "network unknown",
        7: "host unknown",
        9: "network prohibited",
        10: "host prohibited",
        13: "administratively prohibited",
    },
    frozenset({2, 3, 9, 10, 13}),
)  # RFC 792, RFC 1812
IPV6 = Kind(
    socket.IPPROTO_ICMPV6,
    128,
    129,
    {1: UNREACHABLE, 3: EXPIRED},
    {
        0: "no route",
        1: "administratively prohibited",
        2: "beyond the scope of the source",
        3: "address unreachable",
        4: "port unreachable",
        5: "policy fail",
        6: "reject route",
    },
    frozenset({1, 4, 5, 6}),
)  # RFC 4443
OF_FAMILY = {socket.AF_INET: IPV4, socket.AF_INET6: IPV6}


class Heard(NamedTuple):
    """What came back about a packet."""

    kind: str
    text: str
    sender: str = ""
    is_prohibition: bool = False
    number: int = 0
    """The errno, where this host refused to send it, or a connection failed."""
    reply: tuple[int, int] | None = None
    """The identifier and the number of the echo request that was answered."""
    about: tuple[str, int, bytes] | None = None
    """The destination, the protocol and the first eight bytes of the packet that an error is about."""


def request(family: int, identifier: int, number: int) -> bytes:
    """Return an echo request."""
    kind = OF_FAMILY[socket.AddressFamily(family)]
    # The kernel adds the checksum of ICMPv6, and no other (raw(7), RFC 3542).
    empty = HEADER.pack(kind.request, 0, 0, identifier, number) + PAYLOAD
    return HEADER.pack(kind.request, 0, _checksum(empty) if kind is IPV4 else 0, identifier, number) + PAYLOAD


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))  # the payload has an even number of bytes
    total = (total & 0xFFFF) + (total >> 16)
    return 0xFFFF - (total + (total >> 16)) & 0xFFFF


def parse(family: int, packet: bytes, sender: str) -> Heard | None:
    """Return what a packet of a raw ICMP socket says, if it is a reply or about another packet."""
    kind = OF_FAMILY[socket.AddressFamily(family)]
    data = packet[_header_of(packet) :] if kind is IPV4 else packet  # IPv6 gives it without its header
    if len(data) < HEADER.size:
        return None
    number, code, _, identifier, sequence = HEADER.unpack_from(data)
    if number == kind.reply:
        return Heard(ANSWERED, f"an echo reply from {sender}", sender, reply=(identifier, sequence))
    if number not in kind.errors:
        return None
    meaning = kind.errors[number]
    said = kind.codes.get(code, "unreachable") if meaning == UNREACHABLE else "time exceeded"
    return Heard(
        meaning,
        f"ICMP {said} (type {number}, code {code}) from {sender}",
        sender,
        is_prohibition=meaning == UNREACHABLE and code in kind.prohibited,
        about=_about(kind, data[HEADER.size :]),
    )


def _header_of(packet: bytes) -> int:
    """Return the length of the header of an IPv4 packet."""
    return max(IPV4_HEADER, (packet[0] & 0xF) * 4 if packet else 0)


def _about(kind: Kind, inner: bytes) -> tuple[str, int, bytes] | None:
    header = _header_of(inner) if kind is IPV4 else IPV6_HEADER
    if len(inner) < header + 8:
        return None
    if kind is IPV4:
        return socket.inet_ntop(socket.AF_INET, inner[16:20]), inner[9], inner[header : header + 8]
    return socket.inet_ntop(socket.AF_INET6, inner[24:40]), inner[6], inner[header : header + 8]
