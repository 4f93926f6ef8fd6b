"""What the kernel tells of a namespace, as it comes: quick to take, and read only when it is looked at."""

from __future__ import annotations

import dataclasses
import errno
import posix as os  # see syscalls.py
import socket
from types import TracebackType
from typing import TYPE_CHECKING, Protocol

from .._child.resident.requests import key_of
from .._errors import NetNSTimeoutError, from_errno, is_meant
from .._handle import Handle
from .._linux import fdpass, netlink, rtnetlink, sock_diag, syscalls
from .._linux.sockets import take_socket
from . import counters, holders, nftables, sockets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typing_extensions import Self

    from .._child.protocol import Spec

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

CHUNK = 1 << 16  # bytes: more than the kernel puts into one message of a dump
SPECS = tuple(
    (int(socket.AF_NETLINK), int(socket.SOCK_RAW), protocol)
    for protocol in (int(socket.NETLINK_ROUTE), netlink.NETLINK_SOCK_DIAG, netlink.NETLINK_NETFILTER)
)
ROUTE, DIAG, FILTER = range(3)
DUMPS = {
    "links": (ROUTE, rtnetlink.RTM_GETLINK, bytes(rtnetlink.LINK.size)),
    "addresses": (ROUTE, rtnetlink.RTM_GETADDR, bytes(rtnetlink.LINK.size)),
    "routes": (ROUTE, rtnetlink.RTM_GETROUTE, bytes(rtnetlink.LINK.size)),
    "rules": (ROUTE, rtnetlink.RTM_GETRULE, bytes(rtnetlink.LINK.size)),
    "neighbours": (ROUTE, rtnetlink.RTM_GETNEIGH, bytes(rtnetlink.LINK.size)),
    "qdiscs": (ROUTE, rtnetlink.RTM_GETQDISC, bytes(rtnetlink.QDISC.size)),
    "nft chains": (FILTER, nftables.SUBSYSTEM << 8 | nftables.GETCHAIN, nftables.ANY_FAMILY),
    "nft rules": (FILTER, nftables.SUBSYSTEM << 8 | nftables.GETRULE, nftables.ANY_FAMILY),
}
SYSCTLS = "/proc/sys/"
FEW = (f"{SYSCTLS}net/ipv4/ip_forward", f"{SYSCTLS}net/ipv6/conf/all/forwarding")
# What a kernel says that lacks a part: nf_tables, IPv6, or the module for the sockets of a protocol.
LACKS = (errno.ENOENT, errno.EINVAL, errno.EOPNOTSUPP, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT)


@dataclasses.dataclass
class Raw:
    """What the kernel has told of a namespace."""

    label: str
    time: float
    """When, as of ``syscalls.monotonic()``."""
    dumps: dict[str, list[bytes]]
    """The bodies of messages, by what they tell of, as of ``DUMPS``."""
    sockets: list[tuple[str, list[bytes]]]
    """Likewise, each with ``tcp`` or ``udp``."""
    counters: list[bytes]
    """What is in the files of counters."""
    sysctls: dict[str, bytes]
    holders: dict[int, tuple[str, ...]]
    """Who has a socket open, by inode."""
    lacking: list[str]
    """What this kernel does not tell of."""


class Inside(Protocol):
    """Who is inside of namespaces: the resident child, or who stands in for it."""

    def sockets(
        self, handle: Handle, specs: Sequence[Spec], received: fdpass.Received, timeout: float | None = None
    ) -> None: ...

    def read_files(
        self, handle: Handle, paths: Sequence[str], timeout: float, *, with_sysctls: bool
    ) -> tuple[list[bytes], dict[str, bytes]]: ...


class Look:
    """Looks at a namespace, for the length of a block.

    :param resident: the child, or another one, that is inside of it.
    :param handle: what identifies it.
    :param deadline: until when, as of ``syscalls.monotonic()``.
    """

    def __init__(self, resident: Inside, handle: Handle, deadline: float) -> None:
        self._resident = resident
        self._handle = handle
        self._deadline = deadline
        self._received = fdpass.Received()
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        try:
            self._resident.sockets(self._handle, SPECS, self._received, self._left())
            self._sockets = [take_socket(self._received, fd) for fd in self._received.fds]
            if len(self._sockets) < len(SPECS):
                raise from_errno(errno.EPROTO, f"{self._handle}: the child passed other sockets than asked for")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self._received.close()

    @property
    def cookie(self) -> int:
        """The number of the namespace, as of ``syscalls.cookie_of``."""
        return syscalls.cookie_of(self._sockets[ROUTE])

    def _left(self) -> float:
        """Return how long a step may take, in seconds."""
        left = self._deadline - syscalls.monotonic()
        if left <= 0:
            raise NetNSTimeoutError(errno.ETIMEDOUT, f"{self._handle}: there is no time left to look at it")
        return min(left, self._handle.child_timeout)

    def take(self, *, with_sysctls: bool = True) -> Raw:
        """Return what there is.

        :param with_sysctls: whether all sysctls are read, which takes most of the time, or a few.
        :raises NetNSError: the kernel does not tell, or not in time.
        """
        lacking: list[str] = []
        label, now = self._handle.label, syscalls.monotonic()
        paths = (*counters.FILES, *(() if with_sysctls else FEW))
        counted, sysctls = self._resident.read_files(self._handle, paths, self._left(), with_sysctls=with_sysctls)
        few = counted[len(counters.FILES) :]
        sysctls |= {key_of(path.removeprefix(SYSCTLS)): value for path, value in zip(FEW, few, strict=bool(few))}
        dumps = {what: self._dump(what, *asked, lacking) for what, asked in DUMPS.items()}
        found = [
            (kind, self._dump(f"sockets of {kind}", DIAG, sock_diag.SOCK_DIAG_BY_FAMILY, body, lacking))
            for kind, body in sockets.requests()
        ]
        inodes = {sock_diag.ANSWER.unpack_from(body)[-1] for _, bodies in found for body in bodies} - {0}
        counted = counted[: len(counters.FILES)]
        return Raw(label, now, dumps, found, counted, sysctls, holders.find(inodes), list(dict.fromkeys(lacking)))

    def _dump(self, what: str, number: int, kind: int, body: bytes, lacking: list[str]) -> list[bytes]:
        try:
            return dump(self._sockets[number], kind, body, self._left())
        except TimeoutError:
            raise NetNSTimeoutError(errno.ETIMEDOUT, f"{self._handle}: the kernel does not tell of {what}") from None
        except OSError as error:
            if error.errno not in LACKS:
                raise from_errno(error.errno or 0, f"{self._handle}: cannot see {what}") from error
            lacking.append(what)
            return []

    def ask(self, kind: int, body: bytes) -> bytes:
        """Return the answer of rtnetlink to a question that has one.

        :raises OSError: it is an error.
        """
        sock = self._sockets[ROUTE]
        sock.settimeout(self._left())
        sock.send(netlink.message(2, kind, body, 0))
        for answer, _, _, content in netlink.messages(sock.recv(CHUNK)):
            if answer == netlink.NLMSG_ERROR:
                _raise(content)
            return content
        raise OSError(errno.EPROTO, os.strerror(errno.EPROTO))


def dump(sock: socket.socket, kind: int, body: bytes, timeout: float) -> list[bytes]:
    """Return the bodies of all that there is of a kind.

    What changes in between may be there twice or not at all, so that it is asked anew, once.

    :raises OSError: the kernel does not tell; TimeoutError if it does not in time.
    """
    found: list[bytes] = []
    for _ in range(2):
        found, is_consistent = _dump(sock, kind, body, timeout)
        if is_consistent:
            break
    return found


def _dump(sock: socket.socket, kind: int, body: bytes, timeout: float) -> tuple[list[bytes], bool]:
    sock.settimeout(timeout)
    sock.send(netlink.message(1, kind, body, netlink.NLM_F_DUMP))
    found: list[bytes] = []
    is_consistent = True
    while True:
        for answer, flags, _, content in netlink.messages(sock.recv(CHUNK)):
            is_consistent &= not flags & netlink.NLM_F_DUMP_INTR
            if answer == netlink.NLMSG_ERROR:
                _raise(content)
            if answer == netlink.NLMSG_DONE:
                if len(content) >= 4:
                    _raise(content)
                return found, is_consistent
            found.append(content)


def _raise(content: bytes) -> None:
    """Raise the error that a message tells of, if it does."""
    number = netlink.error_of(content)
    if number:
        raise OSError(number, os.strerror(number))
