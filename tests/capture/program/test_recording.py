"""What is recorded of one namespace, by the recorder's own sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from pytest_netns import NetNS
from pytest_netns._capture.program.recording import Recording

pytestmark = pytest.mark.core

ETH_P_ALL = 3  # <linux/if_ether.h>
MANY = 2000


@pytest.fixture
def recording(netns: NetNS) -> Iterator[Recording]:
    """A recording whose queue has room for a few frames only."""
    queue, for_ring = (
        netns.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol)) for protocol in (ETH_P_ALL, 0)
    )
    queue.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    recording = Recording("netns", 1500, True, [queue.detach(), for_ring.detach()])
    yield recording
    for ended in recording.stop(is_wanted=False):
        ended.close()


@pytest.fixture
def sock(netns: NetNS) -> socket.socket:
    """A socket that sends to itself."""
    sock = netns.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 7))
    sock.connect(("127.0.0.1", 7))
    return sock


def send_many(sock: socket.socket) -> None:
    for number in range(MANY):
        sock.send(number.to_bytes(4, "big"))
        sock.recv(4)


def test_what_the_queue_has_no_room_for_is_counted_at_once(recording: Recording, sock: socket.socket) -> None:
    """Root without CAP_NET_ADMIN may queue no more than anybody else, and the ring may be late."""
    send_many(sock)
    frames = recording.frames()
    assert recording.left_out > 0
    assert len(frames) + recording.left_out == MANY
    sock.send(b"more")
    assert len(recording.frames()) == len(frames) + 1
    assert len(frames) + recording.left_out == MANY


def test_what_a_test_has_lost_is_not_counted_for_the_next_one(recording: Recording, sock: socket.socket) -> None:
    send_many(sock)
    recording.begin()
    assert len(recording.frames()) < MANY
    assert recording.left_out == 0
