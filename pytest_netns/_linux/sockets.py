"""``socket.socket`` as it was before any test replaced it, and how a descriptor becomes one."""

from __future__ import annotations

import socket

from .fdpass import Received

Socket = socket.socket


def take_socket(received: Received, fd: int, proto: int = -1) -> socket.socket:
    """Return a socket that owns one of the descriptors that came; it is closed with the others if the block fails.

    :raises OSError: it is no socket.
    """
    sock = Socket.__new__(Socket)
    received.sockets.append(sock)  # before it has the descriptor
    sock.__init__(-1, -1, proto, fd)  # type: ignore[misc]
    return sock
