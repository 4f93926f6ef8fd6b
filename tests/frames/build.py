"""Frames written by hand."""

from __future__ import annotations

import socket
import struct

from pytest_netns._frames.decoding import Packet, decode
from pytest_netns._frames.frame import Frame

A, B = "192.0.2.1", "192.0.2.2"
A6, B6 = "2001:db8::1", "2001:db8::2"


def frame(data: bytes, length: int | None = None) -> Frame:
    return Frame(0, "a", "eth0", True, data, len(data) if length is None else length)


def packet(data: bytes, length: int | None = None) -> Packet:
    return decode(frame(data, length))


def ethernet(payload: bytes, kind: int = 0x0800, source: int = 1, destination: int = 2) -> bytes:
    return destination.to_bytes(6, "big") + source.to_bytes(6, "big") + kind.to_bytes(2, "big") + payload


def vlan(vid: int, payload: bytes, kind: int = 0x0800) -> bytes:
    return struct.pack("!HH", vid, kind) + payload


def ip(
    payload: bytes,
    protocol: int = 17,
    source: str = A,
    destination: str = B,
    *,
    ttl: int = 64,
    number: int = 1,
    fragment: int = 0,
    options: bytes = b"",
    total: int | None = None,
) -> bytes:
    total = 20 + len(options) + len(payload) if total is None else total
    first = 0x40 | (5 + len(options) // 4)
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    return struct.pack("!BBHHHBBH", first, 0, total, number, fragment, ttl, protocol, 0) + addresses + options + payload


def ip6(payload: bytes, protocol: int = 17, source: str = A6, destination: str = B6, *, ttl: int = 64) -> bytes:
    addresses = socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, destination)
    return struct.pack("!IHBB", 6 << 28, len(payload), protocol, ttl) + addresses + payload


def udp(payload: bytes, source: int = 1000, destination: int = 9, length: int | None = None) -> bytes:
    return struct.pack("!HHHH", source, destination, 8 + len(payload) if length is None else length, 0) + payload


def tcp(
    payload: bytes = b"",
    source: int = 1000,
    destination: int = 80,
    *,
    flags: int = 0x18,
    sequence: int = 1,
    acknowledged: int = 1,
    window: int = 1000,
    options: bytes = b"",
) -> bytes:
    head = struct.pack("!HHII", source, destination, sequence, acknowledged)
    return head + struct.pack("!BBHHH", (5 + len(options) // 4) << 4, flags, window, 0, 0) + options + payload


def name(text: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in text.split(".")) + b"\0"


def dns(body: bytes, *, questions: int = 1, answers: int = 0, flags: int = 0x0100) -> bytes:
    return struct.pack("!HHHHHH", 7, flags, questions, answers, 0, 0) + body


def record(content: bytes, kind: int = 22) -> bytes:
    return struct.pack("!BHH", kind, 0x0303, len(content)) + content
