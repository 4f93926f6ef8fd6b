"""ICMP packets, as they are sent and read."""

from __future__ import annotations

import socket
import struct

import pytest

from pytest_netns._netns import icmp
from pytest_netns._netns.icmp import ANSWERED, EXPIRED, UNREACHABLE, parse, request

FAMILIES = (socket.AF_INET, socket.AF_INET6)
SENDER = {socket.AF_INET: "192.0.2.2", socket.AF_INET6: "2001:db8::2"}
INNER = {
    socket.AF_INET: struct.pack("!BxHHHBBH4s4s", 0x46, 60, 1, 0, 64, 6, 0, b"\0" * 4, b"\xc0\0\2\7") + b"\1" * 4,
    socket.AF_INET6: struct.pack("!IHBB16s16s", 6 << 28, 8, 6, 64, b"\0" * 16, b"\x20\1\x0d\xb8" + b"\0" * 11 + b"\7"),
}
IPV4_WITH_OPTIONS = b"\x46" + b"\0" * 23


def packet(family: int, kind: int, code: int, rest: bytes = b"\0" * 4) -> bytes:
    """Return what a raw socket of a family receives."""
    return (IPV4_WITH_OPTIONS if family == socket.AF_INET else b"") + bytes([kind, code, 0, 0]) + rest


def test_the_checksum_of_a_request_is_right() -> None:
    """The sum of all words of a packet is 0xFFFF, in one's complement (RFC 1071); Linux fills in that of ICMPv6."""
    for identifier in (0, 1, 0xFFFF, 0x1234):
        data = request(socket.AF_INET, identifier, 7)
        total = sum(struct.unpack(f"!{len(data) // 2}H", data))
        assert (total & 0xFFFF) + (total >> 16) == 0xFFFF
    assert request(socket.AF_INET6, 1, 7)[:8] == b"\x80\0\0\0\0\1\0\7"


@pytest.mark.parametrize(("family", "kind"), [(socket.AF_INET, 0), (socket.AF_INET6, 129)])
def test_a_reply(family: int, kind: int) -> None:
    heard = parse(family, packet(family, kind, 0, b"\0\5\0\7"), "x")
    assert heard is not None
    assert (heard.kind, heard.reply, heard.sender) == (ANSWERED, (5, 7), "x")


@pytest.mark.parametrize(
    ("family", "kind", "code", "meaning", "text", "is_prohibition"),
    [
        (socket.AF_INET, 3, 1, UNREACHABLE, "ICMP host unreachable (type 3, code 1) from x", False),
        (socket.AF_INET, 3, 13, UNREACHABLE, "ICMP administratively prohibited (type 3, code 13) from x", True),
        (socket.AF_INET, 3, 99, UNREACHABLE, "ICMP unreachable (type 3, code 99) from x", False),
        (socket.AF_INET, 11, 0, EXPIRED, "ICMP time exceeded (type 11, code 0) from x", False),
        (socket.AF_INET, 11, 13, EXPIRED, "ICMP time exceeded (type 11, code 13) from x", False),
        (socket.AF_INET6, 1, 4, UNREACHABLE, "ICMP port unreachable (type 1, code 4) from x", True),
        (socket.AF_INET6, 1, 0, UNREACHABLE, "ICMP no route (type 1, code 0) from x", False),
        (socket.AF_INET6, 3, 0, EXPIRED, "ICMP time exceeded (type 3, code 0) from x", False),
    ],
)
def test_an_error(
    family: socket.AddressFamily, kind: int, code: int, meaning: str, text: str, is_prohibition: bool
) -> None:
    ports = b"\0\5\0\7more"
    heard = parse(family, packet(family, kind, code, b"\0" * 4 + INNER[family] + ports), "x")
    assert heard is not None
    assert (heard.kind, heard.text, heard.is_prohibition) == (meaning, text, is_prohibition)
    assert heard.about == ("192.0.2.7" if family == socket.AF_INET else "2001:db8::7", 6, ports)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_cut_is_no_error_of_ours(family: socket.AddressFamily) -> None:
    kind = icmp.OF_FAMILY[family]
    whole = packet(family, min(kind.errors), 0, b"\0" * 4 + INNER[family] + b"\0" * 8)
    heard = [parse(family, whole[:length], "x") for length in range(len(whole) + 1)]
    assert heard[0] is None
    assert [one for one in heard if one is not None and one.about] == [heard[-1]]


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_of_no_interest_is_left_out(family: socket.AddressFamily) -> None:
    assert parse(family, packet(family, icmp.OF_FAMILY[family].request, 0), "x") is None
    assert parse(family, packet(family, 200, 0), "x") is None
