"""Messages with descriptors over an AF_UNIX socket (unix(7), SCM_RIGHTS).

A message is one packet of a SOCK_SEQPACKET socket, or several: each packet begins with a byte that says whether another
one follows, or that this one stands instead of all that came before. So a message may carry any number of bytes and
descriptors, and one that was cut is never taken for whole.
``socket.recv_fds`` ignores its flags (CPython gh-107898) and would leave descriptors inheritable, hence ``recvmsg``.
"""

from __future__ import annotations

import array
import errno
import math
import posix as os  # see kernel.py
import select
import socket
import struct
from _socket import socketpair as _socketpair

from .kernel import SCM_MAX_FD, Socket, monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

__tracebackhide__ = True  # a failed test's report ends in the test; --full-trace shows the rest

LAST, MORE, INSTEAD = b"\0", b"\1", b"\2"
PACKET = 32 * 1024  # well below the default send buffer (net.core.wmem_default), so that a packet always fits
_ANCILLARY = socket.CMSG_SPACE(SCM_MAX_FD * array.array("i").itemsize)
# Numbers, since the arithmetic of socket's flag enumerations takes a fifth of the time of a round trip.
_SEND_FLAGS, _RECEIVE_FLAGS = int(socket.MSG_NOSIGNAL), int(socket.MSG_CMSG_CLOEXEC)
_CONTROL_CUT, _DATA_CUT = int(socket.MSG_CTRUNC), int(socket.MSG_TRUNC)
_LEVEL, _RIGHTS = int(socket.SOL_SOCKET), int(socket.SCM_RIGHTS)


class Closed(Exception):
    """The other side ended before a whole message had come."""


class Garbage(Exception):
    """What came is not a message."""


def pair(kind: int = socket.SOCK_SEQPACKET) -> tuple[socket.socket, socket.socket]:
    """Return two connected ends, both close-on-exec, blocking and owned by the caller."""
    # Not socket.socketpair(), which makes them of the class that a test may have put in place of socket.socket.
    one, other = _socketpair(socket.AF_UNIX, kind)
    ends = (
        Socket(socket.AF_UNIX, kind, 0, one.detach()),
        Socket(socket.AF_UNIX, kind, 0, other.detach()),
    )
    if socket.getdefaulttimeout() is not None:  # it is meant for the sockets of the test
        for end in ends:
            end.settimeout(None)
    return ends


def limit(channel: socket.socket, timeout: float) -> None:
    """Let the kernel bound each wait on a blocking channel (socket(7)): unlike ``settimeout``, it costs no system call.

    :param timeout: in seconds; a wait that is longer raises ``TimeoutError`` when receiving, ``BlockingIOError`` when
        sending.
    """
    seconds, fraction = divmod(max(timeout, 1e-6), 1)
    value = struct.pack("@ll", int(seconds), int(fraction * 1e6))
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)


def send(channel: socket.socket, payload: bytes, fds: Sequence[int] = (), *, instead: bool = False) -> None:
    """Send one message.

    :param payload: its bytes.
    :param fds: descriptors to pass; the caller keeps its own.
    :param instead: it replaces a message of which only a part could be sent; short, and without descriptors.
    :raises OSError: as sendmsg(2); EPIPE or ECONNRESET where the other side is gone.
    """
    if instead:
        _send_packet(channel, INSTEAD, payload[:PACKET], ())
        return
    if len(payload) <= PACKET and len(fds) <= SCM_MAX_FD:
        _send_packet(channel, LAST, payload, fds)
        return
    packets = max(-(-len(payload) // PACKET), -(-len(fds) // SCM_MAX_FD))
    for index in range(packets):
        _send_packet(
            channel,
            MORE if index + 1 < packets else LAST,
            payload[index * PACKET : (index + 1) * PACKET],
            fds[index * SCM_MAX_FD : (index + 1) * SCM_MAX_FD],
        )


def _send_packet(channel: socket.socket, mark: bytes, part: bytes, fds: Sequence[int]) -> None:
    if fds:
        channel.sendmsg([mark, part], [(_LEVEL, _RIGHTS, array.array("i", fds))], _SEND_FLAGS)
    else:
        channel.send(mark + part, _SEND_FLAGS)


def receive(
    channel: socket.socket, deadline: float | None = None, sender: int | None = None
) -> tuple[bytes, list[int]]:
    """Receive one message.

    :param deadline: when to give up, on the clock of ``kernel.monotonic``; with ``None``, each packet is waited for as
        long as the channel itself allows (see :func:`limit`).
    :param sender: a descriptor that becomes readable when the sender ends, such as a pidfd. It matters where others may
        hold a copy of the sender's end, as a child has that was forked at the same time: then the socket tells nothing.
    :return: its bytes, and its descriptors: close-on-exec, owned by the caller.
    :raises Closed: the other side ended, after it had read all that was sent to it.
    :raises ConnectionResetError: it ended before that (net/unix/af_unix.c, unix_release_sock).
    :raises Garbage: what came is not a message.
    :raises TimeoutError: the deadline has passed.
    :raises OSError: EMFILE where this process has no room for the descriptors.
    """
    parts: list[bytes] = []
    fds: list[int] = []
    try:
        while True:
            if deadline is not None or sender is not None:
                _await_packet(channel, deadline, sender)
            if _receive_packet(channel, parts, fds) != MORE:
                break
    except BaseException:
        close_all(fds)
        raise
    return b"".join(parts), fds


def _await_packet(channel: socket.socket, deadline: float | None, sender: int | None) -> None:
    left = None
    if deadline is not None:
        left = deadline - monotonic()
        if left <= 0:
            raise TimeoutError
        channel.settimeout(left)
    if sender is None:
        return  # recvmsg waits
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    poll.register(sender, select.POLLIN)
    ready = poll.poll(None if left is None else math.ceil(left * 1000))
    if not ready:
        raise TimeoutError
    if all(fd == sender for fd, _ in ready):
        poll.unregister(sender)
        if not poll.poll(0):  # what it sent before it ended would be there now
            raise Closed


def _receive_packet(channel: socket.socket, parts: list[bytes], fds: list[int]) -> bytes:
    try:
        packet, ancillary, flags, _ = channel.recvmsg(PACKET + 1, _ANCILLARY, _RECEIVE_FLAGS)
    except BlockingIOError:
        raise TimeoutError from None
    for level, kind, data in ancillary:
        if (level, kind) == (_LEVEL, _RIGHTS):
            numbers = array.array("i")
            numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
            fds.extend(numbers)
    if flags & _CONTROL_CUT:
        # There is room for all that a packet can carry: the kernel cut them since this process can hold no more.
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    if flags & _DATA_CUT:
        raise Garbage(f"a packet of more than {PACKET} bytes")
    if not packet:
        raise Closed
    mark = packet[:1]
    if mark == INSTEAD:
        parts.clear()
        close_all(fds)
    elif mark not in (LAST, MORE):
        raise Garbage(f"a packet that begins with {mark!r}")
    parts.append(packet[1:])
    return mark


def close_all(fds: list[int]) -> None:
    """Close descriptors and forget their numbers first, so that none can be closed twice."""
    while fds:
        os.close(fds.pop())
