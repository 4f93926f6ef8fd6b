"""The netlink socket by which a namespace is set up: it sends many requests at once."""

from __future__ import annotations

import errno
import socket
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from ... import _causes
from ..._errors import NetNSTimeoutError, from_errno, is_meant
from ..._linux import netlink, rtnetlink, syscalls
from .requests import Request

if TYPE_CHECKING:
    from ..._netns.namespace import NetNS

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

SOL_NETLINK, NETLINK_CAP_ACK, NETLINK_EXT_ACK = 270, 10, 11  # <linux/socket.h>, <linux/netlink.h>
RECEIVED = 1 << 16  # bytes
# What the kernel says of what is not there.
GONE = frozenset((errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENODEV, errno.ENXIO))
BYTES_AT_ONCE = 1 << 16  # of one message, with at most 4096 steps of a filter more; net.core.wmem_default is 212,992
AT_ONCE = 150  # requests in one message: as many errors may come back before the queue of the socket is full


class Channel:
    """A netlink socket of a namespace, which closes it at the latest.

    :param sock: a netlink socket there, which it takes over; by default it makes one.
    """

    def __init__(self, ns: NetNS, sock: socket.socket | None = None) -> None:
        self._ns = ns
        self._sock = sock or self._open()
        for option in (NETLINK_CAP_ACK, NETLINK_EXT_ACK):
            self._sock.setsockopt(SOL_NETLINK, option, 1)
        self._number = 0

    def _open(self) -> socket.socket:
        return self._ns.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE, child_mode="resident")

    @property
    def what(self) -> str:
        """What the namespace is called in errors."""
        return str(self._ns)

    def close(self) -> None:
        self._sock.close()

    def send(self, requests: Sequence[Request], deadline: float, ignored: Collection[int] = ()) -> None:
        """Send requests and wait until the kernel has done all.

        :param deadline: as of ``syscalls.monotonic()``.
        :param ignored: errnos that are as good as success, such as that of what is gone already.
        :raises NetNSError: it has refused one; those behind it may be done.
        """
        begin = size = 0
        for end, one in enumerate(requests):
            size += len(one.body)
            if end - begin == AT_ONCE or (size > BYTES_AT_ONCE and end > begin):
                self._send(requests[begin:end], deadline, ignored)
                begin, size = end, len(one.body)
        if requests:
            self._send(requests[begin:], deadline, ignored)

    def _send(self, requests: Sequence[Request], deadline: float, ignored: Collection[int]) -> None:
        first = self._number + 1
        self._number += len(requests)
        parts = [
            netlink.message(number, one.kind, one.body, one.flags) for number, one in enumerate(requests[:-1], first)
        ]
        last = requests[-1]
        # The kernel does them in their order, so that the answer to the last says that all are done.
        parts.append(netlink.message(self._number, last.kind, last.body, last.flags | netlink.NLM_F_ACK))
        self._write(parts, deadline)
        refused: list[tuple[Request, int, str]] = []
        while not self._is_answered(requests, first, refused, deadline):
            pass
        for request, number, text in [one for one in refused if one[1] not in ignored][:1]:
            said = f" ({text})" if text else ""
            raise from_errno(number, f"{self._ns}: cannot make {request.what}{said}", step=_causes.NETWORKING)

    def _is_answered(
        self, requests: Sequence[Request], first: int, refused: list[tuple[Request, int, str]], deadline: float
    ) -> bool:
        """Take what the kernel says; return whether it has come to the last request."""
        is_last = False
        for kind, flags, sequence, body in self._receive(deadline, f"{requests[-1].what} is not made"):
            if kind != netlink.NLMSG_ERROR or sequence < first:
                continue
            is_last |= sequence == self._number
            number = netlink.error_of(body)
            if number:
                refused.append((requests[sequence - first], number, _said(flags, body)))
        return is_last

    def dump(self, kind: int, deadline: float, asked: bytes = bytes(rtnetlink.LINK.size)) -> list[bytes]:
        """Return the bodies of all that there is of a kind, in the form in which it can be made anew or deleted.

        :param kind: of the message that gets it, such as ``rtnetlink.RTM_GETROUTE``.
        :param asked: the body of that message.
        :raises NetNSError: the kernel does not give it.
        """
        self._number += 1
        self._write([netlink.message(self._number, kind, asked, netlink.NLM_F_DUMP)], deadline)
        found: list[bytes] = []
        while True:
            for answer, _, sequence, body in self._receive(deadline, "does not say what there is"):
                if sequence != self._number:
                    continue
                if answer == netlink.NLMSG_ERROR:
                    raise from_errno(netlink.error_of(body), f"{self._ns}: cannot look at what there is")
                if answer == netlink.NLMSG_DONE:
                    return found
                found.append(body)

    def links_up(self, deadline: float) -> set[int]:
        """Return the indices of the links that are up, with carrier or without."""
        heads = map(rtnetlink.LINK.unpack_from, self.dump(rtnetlink.RTM_GETLINK, deadline))
        return {index for _, _, index, flags, _ in heads if flags & rtnetlink.IFF_UP}

    def ask(self, kind: int, bodies: Sequence[bytes], deadline: float) -> list[bytes | None]:
        """Return the answer to each question, or ``None`` where the kernel says that there is none.

        :param kind: of a message that gets one thing.
        :raises NetNSError: the kernel does not answer.
        """
        found: list[bytes | None] = []
        for begin in range(0, len(bodies), AT_ONCE):
            some = bodies[begin : begin + AT_ONCE]
            first = self._number + 1
            self._number += len(some)
            self._write([netlink.message(number, kind, body, 0) for number, body in enumerate(some, first)], deadline)
            answers: dict[int, bytes | None] = {}
            while len(answers) < len(some):
                for answer, _, sequence, body in self._receive(deadline, "does not say what there is"):
                    if sequence >= first:
                        answers[sequence] = None if answer == netlink.NLMSG_ERROR else body
            found += [answers[number] for number in range(first, self._number + 1)]
        return found

    def listen(self, groups: int) -> socket.socket:
        """Return a new socket of the namespace that gets the kernel's news.

        :param groups: what of, as a mask (rtnetlink(7)).
        """
        news = self._open()
        news.bind((0, groups))
        return news

    def hear(self, news: socket.socket, deadline: float) -> None:
        """Wait until there are news, but no longer than to a deadline, and drop them."""
        news.settimeout(max(1e-6, deadline - syscalls.monotonic()))
        try:
            while True:
                news.recv(RECEIVED)
                news.settimeout(0)
        except (TimeoutError, BlockingIOError):
            return
        except OSError as error:
            if error.errno != errno.ENOBUFS:  # more than the queue holds
                raise

    def _write(self, parts: Sequence[bytes], deadline: float) -> None:
        self._sock.settimeout(max(1e-6, deadline - syscalls.monotonic()))
        self._sock.sendall(b"".join(parts))

    def _receive(self, deadline: float, failure: str) -> Iterator[tuple[int, int, int, bytes]]:
        self._sock.settimeout(max(1e-6, deadline - syscalls.monotonic()))
        try:
            return netlink.messages(self._sock.recv(RECEIVED))
        except TimeoutError:
            raise NetNSTimeoutError(errno.ETIMEDOUT, f"{self._ns}: {failure}") from None
        except OSError as error:
            raise from_errno(error.errno or 0, f"{self._ns}: the kernel does not answer") from error


def _said(flags: int, body: bytes) -> str:
    """Return what the kernel says beside the errno (NETLINK_EXT_ACK, netlink(7))."""
    if not flags & netlink.NLM_F_ACK_TLVS:
        return ""
    head = 4 + netlink.HEADER.size  # the errno, and the head of the request
    for attribute, value in netlink.attributes(body, head):
        if attribute == netlink.NLMSGERR_ATTR_MSG:
            return value.rstrip(b"\0").decode(errors="replace")
    return ""
