"""Frames at random, and frames of which something is changed: nothing raises, and nothing loops."""

from __future__ import annotations

import pytest

pytest.importorskip("hypothesis", reason="Hypothesis has no build for this Python")

from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_netns._frames.decoding import decode, quoted
from pytest_netns._frames.dns import DNS
from pytest_netns._frames.frame import Frame
from pytest_netns._frames.icmp import ICMP
from pytest_netns._frames.layer import Layer
from pytest_netns._report.ladder.labels import label

from .build import dns, ethernet, frame, ip, ip6, name, record, tcp, udp, vlan

BEGINNINGS = [
    ethernet(ip(udp(dns(name("example.test") + b"\0\1\0\1\xc0\x0c\0\5\0\1\0\0\0\1\0\2\xc0\x0c", answers=1), 53))),
    ethernet(ip(tcp(record(b"\1\0\0\x36" + b"\3\3" + b"r" * 32 + b"\0\0\2\x13\1\1\0\0\x12"), 7, 443), 6)),
    ethernet(ip(tcp(b"GET / HTTP/1.1\r\n", options=b"\x02\x04\x05\xb4\x05\x0a" + b"\0" * 10), 6)),
    ethernet(ip(b"\3\3\0\0\0\0\0\0" + ip(udp(b"hello")), 1)),
    ethernet(ip6(b"\x2c\0" + b"\0" * 6 + b"\x3a\0\0\1\0\0\0\1" + b"\x88\0" + b"\0" * 30, 0), 0x86DD),
    ethernet(vlan(1, ip(udp(b"\x08\0\0\0\0\0\x2a\0" + ethernet(ip(udp(b"hi"))), 5, 4789)), 0x0800), 0x8100),
    ethernet(ip(b"\xb0\0\x65\x58" + b"\0" * 12 + ethernet(ip(udp(b"hi"))), 47)),
    ethernet(b"\0\1\x08\0\6\4\0\1" + b"\0" * 20, 0x0806),
]
many = settings(max_examples=1000, deadline=None, database=None)


def read_everything(whole: Frame) -> None:
    """Read each field of each layer."""
    left = [decode(whole)]
    while left:
        around: Layer | None = None
        for layer in left.pop():
            for field in dir(layer):
                if not field.startswith("_") and not callable(getattr(type(layer), field)):
                    getattr(layer, field)
            assert layer.start <= layer.end
            assert around is None or (around.inner <= layer.start and layer.end <= around.end)
            if isinstance(layer, DNS):
                assert len(layer.answers) <= layer.length
            if isinstance(layer, ICMP):
                about = quoted(layer)
                left += [about] if about else []
            around = layer
    assert label(whole).isprintable()


@pytest.mark.slow
@many
@given(st.binary(max_size=200), st.integers(0, 300))
def test_any_bytes(data: bytes, more: int) -> None:
    read_everything(frame(data, len(data) + more))


@many
@given(
    st.sampled_from(BEGINNINGS),
    st.lists(st.tuples(st.integers(0, 200), st.integers(0, 255)), max_size=6),
    st.integers(0, 200),
    st.binary(max_size=40),
)
def test_frames_of_which_something_is_changed(
    beginning: bytes, changes: list[tuple[int, int]], cut: int, more: bytes
) -> None:
    data = bytearray(beginning)
    for at, value in changes:
        data[at % len(data)] = value
    read_everything(frame(bytes(data[:cut]) + more if cut < len(data) else bytes(data) + more, len(data)))


def test_frames_that_nest_as_deep_as_there_is_room() -> None:
    data = b""
    for _ in range(1000):
        data = ethernet(ip(udp(b"\x08\0\0\0\0\0\1\0" + data[:65000], 5, 4789)))
    read_everything(frame(data))
    read_everything(frame(ethernet(b"\x81\0\x81\0" * 16000, 0x8100)))


def test_a_message_of_pointers() -> None:
    chain = b"".join(b"\xc0" + bytes([at]) for at in range(12, 200, 2))
    read_everything(frame(ethernet(ip(udp(dns((chain + b"\0\1\0\1") * 320, questions=65535, answers=65535), 53)))))
