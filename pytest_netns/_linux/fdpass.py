"""Messages with descriptors over an AF_UNIX socket (unix(7), SCM_RIGHTS).

A message is one packet of a SOCK_SEQPACKET socket, or several: each packet begins with a byte that says whether another
one follows, or that this one stands instead of all that came before. So a message may carry any number of bytes and
descriptors, and one that was cut is never taken for whole.
``socket.recv_fds`` ignores its flags (CPython gh-107898) and would leave descriptors inheritable, hence ``recvmsg``.

A signal handler that raises, as those of Ctrl-C and pytest-timeout do, may do so after any call of the main thread:
also after recvmsg(2), before what it returned is assigned. So descriptors need an owner before that call returns.
CPython runs handlers after a call and at the head of a loop, but neither within a call of a function written in C nor
between the other steps of a statement (ceval.c, CHECK_EVAL_BREAKER). Hence ``list += starmap(...)``, which calls, and
keeps the result, in one step.
"""

from __future__ import annotations

import _socket as socket
import array
import errno
import itertools
import math
import posix as os  # see syscalls.py
import select
import struct

from .._errors import is_meant
from .syscalls import SCM_MAX_FD, close_all, monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket as stdlib
    from collections.abc import Sequence
    from typing import Any

    from typing_extensions import Self

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

LAST, MORE, INSTEAD = b"\0", b"\1", b"\2"
PACKET = 32 * 1024  # well below the default send buffer (net.core.wmem_default), so that a packet always fits
_ANCILLARY = socket.CMSG_SPACE(SCM_MAX_FD * array.array("i").itemsize)
# Plain numbers: the arithmetic of the flag enumerations of ``socket`` takes a fifth of the time of a round trip.
_SEND_FLAGS, _RECEIVE_FLAGS = socket.MSG_NOSIGNAL, socket.MSG_CMSG_CLOEXEC
_CONTROL_CUT, _DATA_CUT = socket.MSG_CTRUNC, socket.MSG_TRUNC
_LEVEL, _RIGHTS = socket.SOL_SOCKET, socket.SCM_RIGHTS
_CUT = _CONTROL_CUT | _DATA_CUT
# The arguments of one call, for starmap().
_RECVMSG = ((PACKET + 1, _ANCILLARY, _RECEIVE_FLAGS),)
_UNIX, _SEQPACKET = socket.AF_UNIX, socket.SOCK_SEQPACKET

Channel = socket.SocketType
"""An end of a pair: the class beneath ``socket.socket``, which the patches of tests do not reach."""


class Closed(Exception):
    """The other side ended before a whole message had come."""


class Garbage(Exception):
    """What came is not a message."""


class Received:
    """Owns the descriptors that messages bring, from the system call on, and closes those that are left at its end.

    Who takes one assigns ``fds[0]`` to what is to own it, and deletes ``fds[0]`` in the next statement, without a call
    in between. In the main thread, where a signal handler may raise as ``__exit__`` begins, close it at the end of a
    ``try`` block, and once more where that fails.
    """

    __slots__ = ("fds", "packets", "sockets")

    def __init__(self) -> None:
        self.packets: list[Any] = []  # as recvmsg(2) returned them, until their descriptors are in fds
        self.fds: list[int] = []
        self.sockets: list[stdlib.socket] = []  # those that own one of the descriptors

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None or self.fds:
            self.close(kind is not None)

    def close(self, with_sockets: bool = True) -> None:
        """Close the descriptors that no socket owns, and the sockets too."""
        owned = {sock.fileno() for sock in self.sockets}
        numbers = itertools.chain(self.fds, *(_rights(packet[1]) for packet in self.packets))
        left = [fd for fd in dict.fromkeys(numbers) if fd not in owned]
        sockets = self.sockets
        self.packets, self.fds, self.sockets = [], [], []
        close_all(left)
        if with_sockets:
            for sock in sockets:
                socket.SocketType.close(sock)


def pair(ends: list[Channel], kind: int = _SEQPACKET) -> None:
    """Add two connected ends to a list, both close-on-exec and blocking."""
    ends.extend(itertools.chain.from_iterable(itertools.starmap(socket.socketpair, ((_UNIX, kind),))))
    if socket.getdefaulttimeout() is not None:  # it is meant for the sockets of the test
        for end in ends[-2:]:
            end.settimeout(None)


def limit(channel: Channel, timeout: float) -> None:
    """Let the kernel bound each wait on a blocking channel (socket(7)): unlike ``settimeout``, it costs no system call.

    :param timeout: in seconds; a wait that is longer raises ``TimeoutError`` when receiving, ``BlockingIOError`` when
        sending.
    """
    seconds, fraction = divmod(max(timeout, 1e-6), 1)
    value = struct.pack("@ll", int(seconds), int(fraction * 1e6))
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)


def send(channel: Channel, payload: bytes, fds: Sequence[int] = (), *, instead: bool = False) -> None:
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


def _send_packet(channel: Channel, mark: bytes, part: bytes, fds: Sequence[int]) -> None:
    if fds:
        channel.sendmsg([mark, part], [(_LEVEL, _RIGHTS, array.array("i", fds))], _SEND_FLAGS)
    else:
        channel.send(mark + part, _SEND_FLAGS)


def receive(channel: Channel, received: Received, deadline: float | None = None, sender: int | None = None) -> bytes:
    """Receive one message.

    :param received: what owns its descriptors, which are close-on-exec.
    :param deadline: when to give up, on the clock of ``syscalls.monotonic``; with ``None``, each packet is waited for
        as long as the channel itself allows (see :func:`limit`).
    :param sender: a descriptor that becomes readable when the sender ends, such as a pidfd. It matters where others may
        hold a copy of the sender's end, as a child has that was forked at the same time: then the socket tells nothing.
    :return: its bytes.
    :raises Closed: the other side ended, after it had read all that was sent to it.
    :raises ConnectionResetError: it ended before that (net/unix/af_unix.c, unix_release_sock).
    :raises Garbage: what came is not a message.
    :raises TimeoutError: the deadline has passed.
    :raises OSError: EMFILE where this process has no room for the descriptors.
    """
    parts: list[bytes] = []
    packets = received.packets
    while True:
        if deadline is not None or sender is not None:
            _await_packet(channel, deadline, sender)
        try:
            packets += itertools.starmap(channel.recvmsg, _RECVMSG)
        except BlockingIOError:
            raise TimeoutError from None
        packet, ancillary, flags, _ = packets[0]
        if ancillary:
            received.fds += _rights(ancillary)
        del packets[:]
        if flags & _CUT:
            _refuse(flags)
        mark = packet[:1]
        if mark == LAST:
            parts.append(packet[1:])
            return b"".join(parts)
        _take_part(packet, parts, received)
        if mark == INSTEAD:
            return parts[0]


def _await_packet(channel: Channel, deadline: float | None, sender: int | None) -> None:
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


def _refuse(flags: int) -> None:
    if flags & _CONTROL_CUT:
        # There is room for all that a packet can carry: the kernel cut them since this process can hold no more.
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    raise Garbage(f"a packet of more than {PACKET} bytes")


def _take_part(packet: bytes, parts: list[bytes], received: Received) -> None:
    """Add what one packet has of a message that consists of several."""
    mark = packet[:1]
    if not packet:
        raise Closed
    if mark == INSTEAD:
        parts.clear()
        close_all(received.fds)
    elif mark != MORE:
        raise Garbage(f"a packet that begins with {mark!r}")
    parts.append(packet[1:])


def _rights(ancillary: Any) -> array.array[int]:
    """Return the descriptors that came with a packet."""
    numbers = array.array("i")
    for level, kind, data in ancillary:
        if level == _LEVEL and kind == _RIGHTS:
            numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
    return numbers
