"""The netlink socket by which a namespace is set up: it sends many requests at once, and hears when all is ready."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from ... import _causes
from ..._errors import NetNSLimitError, NetNSTimeoutError, from_errno, is_meant
from ..._linux import netlink, rtnetlink, syscalls
from .requests import Request

if TYPE_CHECKING:
    from ..._netns.namespace import NetNS

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

RTMGRP_LINK, RTMGRP_IPV6_IFADDR = 0x1, 0x100  # rtnetlink(7)
SOL_NETLINK, NETLINK_CAP_ACK, NETLINK_EXT_ACK = 270, 10, 11  # <linux/socket.h>, <linux/netlink.h>
RECEIVED = 1 << 16  # bytes
NAMED = 5  # of what is not ready, in an error
# What the kernel says of what is not there.
GONE = frozenset((errno.ENOENT, errno.ESRCH, errno.EADDRNOTAVAIL, errno.ENODEV, errno.ENXIO))
BYTES_AT_ONCE = 1 << 16  # of one message, with at most 4096 steps of a filter more; net.core.wmem_default is 212,992
AT_ONCE = 150  # requests in one message: as many errors may come back before the queue of the socket is full


class Channel:
    """A netlink socket of a namespace, which closes it at the latest.

    It hears of IPv6 addresses that are ready from when it is made.

    :param sock: a netlink socket there, which it takes over; by default it makes one.
    """

    def __init__(self, ns: NetNS, sock: socket.socket | None = None) -> None:
        self._ns = ns
        self._sock = sock or self._open()
        self._sock.bind((0, RTMGRP_IPV6_IFADDR))
        for option in (NETLINK_CAP_ACK, NETLINK_EXT_ACK):
            self._sock.setsockopt(SOL_NETLINK, option, 1)
        self._number = 0
        self._up: set[int] = set()
        self._addresses: set[bytes] = set()

    def _open(self) -> socket.socket:
        return self._ns.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE, child_mode="resident")

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
        self._sock.settimeout(max(1e-6, deadline - syscalls.monotonic()))
        self._sock.sendall(b"".join(parts))
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
        for kind, flags, sequence, body in self._receive(self._sock, deadline, f"{requests[-1].what} is not made"):
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
        self._sock.settimeout(max(1e-6, deadline - syscalls.monotonic()))
        self._sock.sendall(netlink.message(self._number, kind, asked, netlink.NLM_F_DUMP))
        found: list[bytes] = []
        while True:
            for answer, _, sequence, body in self._receive(self._sock, deadline, "does not say what there is"):
                if sequence != self._number:
                    continue
                if answer == netlink.NLMSG_ERROR:
                    raise from_errno(netlink.error_of(body), f"{self._ns}: cannot look at what there is")
                if answer == netlink.NLMSG_DONE:
                    return found
                found.append(body)

    def wait(self, links: dict[int, object], addresses: dict[bytes, object], deadline: float) -> None:
        """Wait until links have carrier and addresses are ready.

        :param links: their indices, and what each is called.
        :param addresses: addresses of IPv6, packed, and what each is called. A work queue has the link join the
            multicast group of each, without which it hears no neighbour ask for it, and then sends the news
            (net/ipv6/addrconf.c, addrconf_dad_begin).
        :raises NetNSTimeoutError: they are not in time.
        """
        self._look_at_links(deadline)
        if not self._up >= links.keys():
            self._wait_for_links(links, deadline)
        while waiting := [name for packed, name in addresses.items() if packed not in self._addresses]:
            self._receive(self._sock, deadline, _not_ready(waiting))

    def _wait_for_links(self, links: dict[int, object], deadline: float) -> None:
        with contextlib.closing(self._open()) as news:
            news.bind((0, RTMGRP_LINK))  # before the look, so that no change falls between
            self._look_at_links(deadline)
            while waiting := [name for index, name in links.items() if index not in self._up]:
                try:
                    self._receive(news, deadline, _not_ready(waiting))
                except NetNSLimitError:  # more news than the queue holds
                    self._look_at_links(deadline)

    def _look_at_links(self, deadline: float) -> None:
        for body in self.dump(rtnetlink.RTM_GETLINK, deadline):
            self._note_link(body)

    def links_up(self, deadline: float) -> set[int]:
        """Return the indices of the links that are up, with carrier or without."""
        heads = map(rtnetlink.LINK.unpack_from, self.dump(rtnetlink.RTM_GETLINK, deadline))
        return {index for _, _, index, flags, _ in heads if flags & rtnetlink.IFF_UP}

    def drain(self) -> None:
        """Take the news that have come."""
        self._sock.settimeout(0)
        try:
            while True:
                self._note(self._sock.recv(RECEIVED))
        except BlockingIOError:
            return

    def _receive(self, sock: socket.socket, deadline: float, failure: str) -> list[tuple[int, int, int, bytes]]:
        sock.settimeout(max(1e-6, deadline - syscalls.monotonic()))
        try:
            return self._note(sock.recv(RECEIVED))
        except TimeoutError:
            raise NetNSTimeoutError(errno.ETIMEDOUT, f"{self._ns}: {failure}") from None
        except OSError as error:
            raise from_errno(error.errno or 0, f"{self._ns}: notifications of the kernel were lost") from error

    def _note(self, received: bytes) -> list[tuple[int, int, int, bytes]]:
        found = list(netlink.messages(received))
        for kind, _, _, body in found:
            if kind == rtnetlink.RTM_NEWLINK:
                self._note_link(body)
            elif kind in (rtnetlink.RTM_NEWADDR, rtnetlink.RTM_DELADDR):
                note = self._addresses.add if kind == rtnetlink.RTM_NEWADDR else self._addresses.discard
                for attribute, value in netlink.attributes(body, rtnetlink.ADDRESS.size):
                    if attribute == rtnetlink.IFA_ADDRESS:
                        note(value)
        return found

    def _note_link(self, body: bytes) -> None:
        index = rtnetlink.LINK.unpack_from(body)[2]
        for attribute, value in netlink.attributes(body, rtnetlink.LINK.size):
            if attribute == rtnetlink.IFLA_OPERSTATE:
                if value[0] == rtnetlink.IF_OPER_UP:
                    self._up.add(index)
                else:
                    self._up.discard(index)
                return  # of the fifty that there are, it is among the first


def _not_ready(waiting: list[object]) -> str:
    more = f" and {len(waiting) - NAMED} more" if len(waiting) > NAMED else ""
    return f"not ready in time: {', '.join(map(str, waiting[:NAMED]))}{more}"


def _said(flags: int, body: bytes) -> str:
    """Return what the kernel says beside the errno (NETLINK_EXT_ACK, netlink(7))."""
    if not flags & netlink.NLM_F_ACK_TLVS:
        return ""
    head = 4 + netlink.HEADER.size  # the errno, and the head of the request
    for attribute, value in netlink.attributes(body, head):
        if attribute == netlink.NLMSGERR_ATTR_MSG:
            return value.rstrip(b"\0").decode(errors="replace")
    return ""
