"""The sockets that a namespace has handed out, and the standard library's ways to make them ready."""

from __future__ import annotations

import errno
import os
import socket
import sys
import threading
from collections.abc import Callable
from typing import Any

from .child.protocol import Spec
from .errors import ChildProtocolError, NetNSClosedError

__tracebackhide__ = True  # a failed test's report ends in the test; --full-trace shows the rest

MakeSocket = Callable[[int], socket.socket]
"""Makes a SOCK_STREAM socket of an address family."""

_NONBLOCK = int(socket.SOCK_NONBLOCK)
_FLAGS = int(socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)


class Sockets:
    """The sockets of one namespace, closed with it where the test left them open.

    They are held, so that one that a test drops without closing it is closed in time and makes no ``ResourceWarning``.
    """

    def __init__(self) -> None:
        self._open: list[socket.socket] = []
        self._look_at = 64
        self._lock = threading.Lock()
        self._closed = False

    def adopt(self, fds: list[int], specs: list[Spec], what: object) -> list[socket.socket]:
        """Make sockets of descriptors that a child has passed.

        :param fds: the descriptors; they are owned here from now on, also when this fails.
        :param specs: what they were asked to be.
        :raises ChildProtocolError: they are something else.
        :raises NetNSClosedError: the namespace was closed meanwhile, by another thread.
        """
        made: list[socket.socket] = []
        try:
            if len(fds) != len(specs):
                raise ChildProtocolError(
                    errno.EPROTO, f"{what}: the child passed {len(fds)} descriptors instead of {len(specs)}"
                )
            fds.reverse()
            for spec in specs:
                made.append(_adopt(fds, spec, what))
        except BaseException:
            for sock in made:
                sock.close()
            for fd in fds:
                os.close(fd)
            raise
        self._hold(made, what)
        return made

    def _hold(self, made: list[socket.socket], what: object) -> None:
        with self._lock:
            self._open += made
            if len(self._open) > self._look_at:
                self._open = [sock for sock in self._open if sock.fileno() >= 0]
                self._look_at = max(64, 2 * len(self._open))
        if self._closed:  # looked at last: either this thread sees it, or that which closes sees the sockets
            self.close()
            raise NetNSClosedError(errno.EBADF, f"{what} was closed while its socket was made")

    def descriptors(self) -> set[int]:
        with self._lock:
            return {sock.fileno() for sock in self._open}

    def close(self) -> None:
        """Close them, and those that are handed out from now on.

        It takes no lock, since another thread may have held that when this process was forked.
        """
        self._closed = True
        while True:
            try:
                sock = self._open.pop()
            except IndexError:  # another thread may close them, too
                return
            sock.close()


def _adopt(fds: list[int], spec: Spec, what: object) -> socket.socket:
    family, kind, proto = spec
    try:
        # Family and type are asked of the kernel; the protocol is as given, as socket.socket() has it.
        sock = socket.socket(proto=proto, fileno=fds[-1])
    except OSError:
        raise ChildProtocolError(errno.EPROTO, f"{what}: the child passed something that is no socket") from None
    fds.pop()
    # Asked of the base class, which gives numbers: to compare enumerations takes longer than a system call.
    raw: Any = super(socket.socket, sock)
    if (raw.family, raw.type) != (family, kind & ~_FLAGS):
        with sock:
            raise ChildProtocolError(errno.EPROTO, f"{what}: the child passed another socket than asked for: {sock}")
    if kind & _NONBLOCK:
        sock.setblocking(False)
    return sock


LookUp = Callable[..., list[Any]]
"""Does what ``socket.getaddrinfo`` does with its first four arguments, inside the namespace."""


def create_server(
    make: MakeSocket,
    look_up: LookUp,
    address: Any,
    *,
    family: int,
    backlog: int | None,
    reuse_port: bool,
    dualstack_ipv6: bool,
) -> socket.socket:
    """Do what ``socket.create_server`` does, with a socket of ``make``."""
    if dualstack_ipv6 and family != socket.AF_INET6:
        raise ValueError("dualstack_ipv6 requires AF_INET6 family")
    sock = make(family)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not dualstack_ipv6)
        _bind(sock, look_up, address)
        if backlog is None:
            sock.listen()
        else:
            sock.listen(backlog)
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError) and error.errno is not None:
            text = f"{error.strerror} (while attempting to bind on address {address!r})"
            raise type(error)(error.errno, text) from None
        raise
    return sock


def create_connection(
    make: MakeSocket,
    look_up: LookUp,
    address: tuple[str, int],
    *,
    timeout: float | None | object,
    source_address: tuple[str, int] | None,
    all_errors: bool,
) -> socket.socket:
    """Do what ``socket.create_connection`` does, with sockets of ``make``."""
    errors: list[OSError] = []
    for family, _, _, _, target in _targets(look_up, *address):
        try:
            sock = make(family)
        except OSError as error:  # a kernel without IPv6, for example
            errors.append(error)
            continue
        try:
            if timeout is not DEFAULT_TIMEOUT:
                sock.settimeout(timeout)  # type: ignore[arg-type]
            if source_address:
                _bind(sock, look_up, source_address)
            sock.connect(target)
            return sock
        except OSError as error:
            sock.close()
            errors.append(error)
        except BaseException:
            sock.close()
            raise
    try:
        if not all_errors:
            raise errors[-1]
        if sys.version_info < (3, 11):
            raise ValueError("all_errors needs the exception groups of Python 3.11") from errors[-1]
        raise ExceptionGroup("create_connection failed", errors)  # noqa: F821
    finally:
        errors = []  # else it and the traceback refer to each other


DEFAULT_TIMEOUT: object = socket._GLOBAL_DEFAULT_TIMEOUT  # type: ignore[attr-defined]


def _targets(look_up: LookUp, host: str, port: int) -> list[Any]:
    return (socket.getaddrinfo if _is_plain(host) else look_up)(host, port, 0, socket.SOCK_STREAM)


def _bind(sock: socket.socket, look_up: LookUp, address: Any) -> None:
    if isinstance(address, tuple) and not _is_plain(address[0]):
        host, *others = address
        address = (look_up(host, None, sock.family, 0)[0][4][0], *others)  # the first, as bind() takes it
    sock.bind(address)


def _is_plain(host: object) -> bool:
    """Whether a host means the same everywhere: a numeric address without a link, or the one that stands for any."""
    if not host:
        return True
    try:
        socket.getaddrinfo(str(host), None, 0, 0, 0, socket.AI_NUMERICHOST)
    except OSError:
        return False
    return "%" not in str(host)
