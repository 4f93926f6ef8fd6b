"""The sockets that a namespace has handed out, and the standard library's ways to make them ready."""

from __future__ import annotations

import contextlib
import errno
import operator
import socket
import struct
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from socket import getaddrinfo
from typing import Any

from .. import _causes
from .._arguments import check_host_and_port
from .._child.protocol import Spec
from .._errors import ChildProtocolError, NetNSClosedError, is_meant
from .._linux import fdpass
from .._linux.sockets import Socket, take_socket
from . import tried

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

_NONBLOCK = int(socket.SOCK_NONBLOCK)
_FLAGS = int(socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)


_DEFAULTS = (int(socket.AF_INET), int(socket.SOCK_STREAM), 0)
_INT_MAX = 2**31 - 1  # of C


def checked_specs(specs: Any) -> list[Spec]:
    """Return the sockets to make, each with its family, type and protocol.

    :raises TypeError: they are none.
    :raises ValueError: a number is out of range.
    """
    try:
        each = iter(specs)
    except TypeError:
        raise TypeError(
            f"the sockets to make are a list of tuples, such as [(socket.AF_INET, socket.SOCK_DGRAM)], not {specs!r}"
        ) from None
    return [_spec(spec) for spec in each]


def _spec(given: Any) -> Spec:
    try:
        numbers = [operator.index(number) for number in given]
    except TypeError:
        raise TypeError(
            f"{given!r} is no socket to make: its family, type and protocol are integers, such as "
            "(socket.AF_INET, socket.SOCK_STREAM, 0)"
        ) from None
    if len(numbers) > len(_DEFAULTS):
        raise TypeError(f"{given!r} is no socket to make: give at most its family, type and protocol")
    if numbers and not (min(numbers) >= -_INT_MAX and max(numbers) <= _INT_MAX):
        raise ValueError(f"{given!r} is no socket to make: its numbers are at most {_INT_MAX}")
    # As socket.socket(), which takes -1 for the default.
    family, kind, proto = (
        default if number == -1 else number for number, default in zip_longest(numbers, _DEFAULTS, fillvalue=-1)
    )
    return family, kind, proto


class Sockets:
    """The sockets of one namespace, closed with it where the test left them open.

    They are held, so that one that a test drops without closing it is closed in time and makes no ``ResourceWarning``.
    """

    def __init__(self) -> None:
        self._open: list[socket.socket] = []
        self._look_at = 64
        self._is_closed = False
        self._lock = threading.Lock()

    def adopt(self, received: fdpass.Received, specs: list[Spec], what: object) -> list[socket.socket]:
        """Make sockets of descriptors that a child has passed.

        :param received: what owns the descriptors, until they are all sockets.
        :param specs: what they were asked to be.
        :raises ChildProtocolError: they are something else.
        :raises NetNSClosedError: the namespace was closed meanwhile.
        """
        if len(received.fds) != len(specs):
            raise ChildProtocolError(
                errno.EPROTO, f"{what}: the child passed {len(received.fds)} descriptors instead of {len(specs)}"
            )
        made = []
        for fd, (family, kind, proto) in zip(received.fds, specs, strict=True):
            try:
                # Family and type are asked of the kernel; the protocol is as given, as socket.socket() has it.
                sock = take_socket(received, fd, proto)
            except OSError:
                text = f"{what}: the child passed something that is no socket"
                raise ChildProtocolError(errno.EPROTO, text) from None
            # Asked of the base class, which gives numbers: to compare enumerations takes longer than a system call.
            raw: Any = super(Socket, sock)
            if (raw.family, raw.type) != (family, kind & ~_FLAGS):
                text = f"{what}: the child passed another socket than asked for: {sock}"
                raise ChildProtocolError(errno.EPROTO, text)
            if kind & _NONBLOCK:
                sock.setblocking(False)
            made.append(sock)
        with self._lock:
            self._open += made
            del received.fds[:]
            if len(self._open) > self._look_at:
                self._open = [sock for sock in self._open if sock.fileno() >= 0]
                self._look_at = max(64, 2 * len(self._open))
        if self._is_closed:  # looked at last: either this thread sees it, or that which closes sees the sockets
            self.close()
            raise NetNSClosedError(errno.EBADF, f"{what} was closed while a socket was made in it")
        return made

    def descriptors(self) -> set[int]:
        with self._lock:
            return {sock.fileno() for sock in self._open}

    def close(self) -> None:
        """Close them, and those that are handed out from now on.

        It takes no lock, since another thread may have held that when this process was forked.
        """
        self._is_closed = True
        for sock in list(self._open):
            _do_not_linger(sock)
            sock.close()


def _do_not_linger(sock: socket.socket) -> None:
    """Have close(2) return at once: with SO_LINGER it waits until what was sent has arrived (socket(7))."""
    if sock.fileno() >= 0 and sock.type == socket.SOCK_STREAM:
        with contextlib.suppress(OSError):  # a kind of socket that has no such option does not linger
            if struct.unpack("ii", sock.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8))[1]:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))


@dataclass(frozen=True)
class Maker:
    """What the standard library's ways to make sockets need of a namespace."""

    make: Callable[[int], socket.socket]
    """Makes a SOCK_STREAM socket of an address family."""

    getaddrinfo: Callable[..., list[Any]]
    """Does what ``socket.getaddrinfo`` does with its first four arguments, inside the namespace."""

    where: str
    """How the namespace is called in an error."""

    def tell(self, error: OSError, step: str, what: str) -> None:
        """Put what was done, and where, into the text of an error, which stays itself, with its errno and traceback."""
        if self.where in str(error):
            return  # one of the look-up, or of our own
        if error.errno is None:  # "timed out"
            error.args = (f"{error} ({what} in {self.where})",)
        else:
            hint = _causes.next_step(error.errno, step)
            error.strerror = f"{error.strerror} ({what} in {self.where})" + (f"; {hint}" if hint else "")
            error.args = (error.errno, error.strerror)  # for who pickles it

    def look_up(self, host: Any, port: Any, *others: Any) -> list[Any]:
        try:
            return (getaddrinfo if _is_plain(host) else self.getaddrinfo)(host, port, *others)
        except OSError as error:
            self.tell(error, _causes.LOOKING_UP, f"while looking up {host if port is None else (host, port)!r}")
            raise

    def bind(self, sock: socket.socket, address: Any) -> None:
        if isinstance(address, tuple) and address and not _is_plain(address[0]):
            host, *others = address
            address = (self.look_up(host, None, sock.family, 0)[0][4][0], *others)  # the first, as bind() takes it
        sock.bind(address)


def create_server(
    maker: Maker,
    address: Any,
    *,
    family: int,
    backlog: int | None,
    reuse_port: bool,
    dualstack_ipv6: bool,
) -> socket.socket:
    """Do what ``socket.create_server`` does, with a socket of ``maker``."""
    if dualstack_ipv6 and family != socket.AF_INET6:
        raise ValueError("dualstack_ipv6 requires AF_INET6 family")
    sock = maker.make(family)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reuse_port:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not dualstack_ipv6)
        maker.bind(sock, address)
        if backlog is None:
            sock.listen()
        else:
            sock.listen(backlog)
    except BaseException as error:
        sock.close()
        if isinstance(error, OSError):
            maker.tell(error, _causes.BINDING, f"while attempting to bind on address {address!r}")
        raise
    return sock


def create_connection(
    maker: Maker,
    address: Any,
    *,
    timeout: float | None,
    source_address: Any,
    all_errors: bool,
) -> socket.socket:
    """Do what ``socket.create_connection`` does, with sockets of ``maker``."""
    errors: list[OSError] = []
    host_and_port = check_host_and_port(address, "the address to connect to")
    for family, _, _, _, target in maker.look_up(*host_and_port, 0, socket.SOCK_STREAM):
        try:
            sock = maker.make(family)
        except OSError as error:  # a kernel without IPv6, for example
            errors.append(error)
            continue
        try:
            if timeout is not DEFAULT_TIMEOUT:
                sock.settimeout(timeout)
            _connect(maker, sock, target, address, source_address)
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
        if sys.version_info >= (3, 11):
            raise ExceptionGroup("create_connection failed", errors)  # noqa: F821 - F821 looks at 3.10 only
        raise ValueError("all_errors needs the exception groups of Python 3.11") from errors[-1]
    finally:
        errors = []  # else it and the traceback refer to each other


def _connect(maker: Maker, sock: socket.socket, target: Any, address: Any, source_address: Any) -> None:
    step, doing = _causes.BINDING, f"while attempting to bind on {source_address!r} to connect to {address!r}"
    try:
        if source_address:
            maker.bind(sock, source_address)
        which = "" if address[0] == target[0] else f", which is {target[0]},"
        step, doing = _causes.CONNECTING, f"while connecting to {address!r}{which}"
        sock.connect(target)
    except OSError as error:
        maker.tell(error, step, doing)
        tried.note(error, tried.Tried(maker.where, "tcp", target[0].partition("%")[0], target[1]))
        raise


DEFAULT_TIMEOUT: Any = socket._GLOBAL_DEFAULT_TIMEOUT  # type: ignore[attr-defined]


def _is_plain(host: object) -> bool:
    """Whether a host means the same everywhere: a numeric address without a link, or the one that stands for any."""
    if not host:
        return True
    try:
        getaddrinfo(str(host), None, 0, 0, 0, socket.AI_NUMERICHOST)
    except socket.gaierror:
        return False
    return "%" not in str(host)
