"""Where headers end: what applications have sent is cut, and no header is."""

from __future__ import annotations

import struct

import pytest

from pytest_netns._capture.headers import cut

SECRET = b"a secret"
ETHERNET = bytes(12)


def ipv4(protocol: int, content: bytes, options: bytes = b"", fragment: int = 0) -> bytes:
    begin = struct.pack("!BBHHHBBH", 0x40 | (5 + len(options) // 4), 0, 0, 0, fragment, 64, protocol, 0)
    return b"\x08\x00" + begin + bytes(8) + options + content


def ipv6(following: int, content: bytes) -> bytes:
    return b"\x86\xdd" + struct.pack("!IHBB", 6 << 28, len(content), following, 64) + bytes(32) + content


def tcp(options: bytes = b"") -> bytes:
    return bytes(12) + bytes([(5 + len(options) // 4) << 4]) + bytes(7) + options


UDP = bytes(8)
ECHO_REQUEST, ECHO_REQUEST_6 = b"\x08" + bytes(7), b"\x80" + bytes(7)
UNREACHABLE = b"\x03\x01" + bytes(6)
TAG, OUTER_TAG = b"\x81\0\0\x2a", b"\x88\xa8\0\x2a"
HOP_BY_HOP = bytes([17, 0]) + bytes(6)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param(ipv4(6, tcp()), id="tcp"),
        pytest.param(ipv4(6, tcp(bytes(40)), bytes(40)), id="tcp with all the options that there can be"),
        pytest.param(ipv4(17, UDP), id="udp"),
        pytest.param(ipv4(1, ECHO_REQUEST), id="icmp"),
        pytest.param(ipv4(1, UNREACHABLE + ipv4(17, UDP)[2:]), id="an error of icmp"),
        pytest.param(ipv4(17, b"", fragment=5), id="a later fragment"),
        pytest.param(ipv4(132, b""), id="a protocol that is not known"),
        pytest.param(ipv6(6, tcp(bytes(12))), id="tcp over ipv6"),
        pytest.param(ipv6(0, HOP_BY_HOP + UDP), id="with a header of hop-by-hop options"),
        pytest.param(ipv6(44, b"\x11\0\0\1" + bytes(4) + UDP), id="the first fragment of ipv6"),
        pytest.param(ipv6(44, b"\x11\0\1\1" + bytes(4)), id="a later fragment of ipv6"),
        pytest.param(ipv6(58, ECHO_REQUEST_6), id="icmpv6"),
        pytest.param(TAG + ipv4(17, UDP), id="tagged"),
        pytest.param(OUTER_TAG + TAG + ipv4(17, UDP), id="tagged twice"),
        pytest.param(b"\x88\xb5", id="an ethertype that is not known"),
    ],
)
def test_the_headers_are_left(headers: bytes) -> None:
    assert cut(ETHERNET + headers + SECRET) == ETHERNET + headers
    for length in range(14, len(ETHERNET + headers)):  # cut by a snaplen before
        assert (ETHERNET + headers).startswith(cut((ETHERNET + headers)[:length]))


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(b"\x08\x06" + bytes(28), id="arp"),
        pytest.param(ipv6(58, b"\x87" + bytes(31)), id="neighbour discovery"),
        pytest.param(ipv6(58, b"\x8f" + bytes(27)), id="mld"),
    ],
)
def test_what_is_all_header_is_whole(frame: bytes) -> None:
    assert cut(ETHERNET + frame) == ETHERNET + frame


def test_any_bytes_are_cut_without_an_error() -> None:
    for first in range(256):
        for length in range(60):
            data = bytes([first]) * length
            assert data.startswith(cut(data))
