"""What is recorded of one namespace, by the recorder's own sockets."""

from __future__ import annotations

import socket

import pytest

from pytest_netns import NetNS
from pytest_netns._capture.program.recording import Recording

pytestmark = pytest.mark.core

ETH_P_ALL = 3  # <linux/if_ether.h>
MANY = 2000


def test_what_the_queue_has_no_room_for_is_counted_at_once(netns: NetNS) -> None:
    """Root without CAP_NET_ADMIN may queue no more than anybody else, and the ring may be late."""
    queue, for_ring = (
        netns.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(protocol)) for protocol in (ETH_P_ALL, 0)
    )
    queue.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    recording = Recording("netns", 1500, True, [queue.detach(), for_ring.detach()])
    try:
        with netns.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind(("127.0.0.1", 7))
            sock.connect(("127.0.0.1", 7))
            for number in range(MANY):
                sock.send(number.to_bytes(4, "big"))
                sock.recv(4)
            frames = recording.frames()
            assert recording.left_out > 0
            assert len(frames) + recording.left_out == MANY
            sock.send(b"more")
            assert len(recording.frames()) == len(frames) + 1
            assert len(frames) + recording.left_out == MANY
    finally:
        for ended in recording.stop(is_wanted=False):
            ended.close()
