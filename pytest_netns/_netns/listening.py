"""Who listens in a namespace, and on which port."""

from __future__ import annotations

import difflib
import errno
import ipaddress
import posix
import socket
import subprocess
from dataclasses import dataclass
from typing import Any

from .._arguments import check_timeout
from .._errors import NetNSTimeoutError, from_errno, is_meant
from .._leaks.references import command_of
from .._linux import family, netlink, sock_diag, syscalls
from .._linux.sock_diag import IPAddress, Listener
from .._linux.sockets import Socket
from .readiness import Condition, Namespace, Start, Watch

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

AF_NETLINK, SOCK_DGRAM = 16, 2
KINDS = tuple(sock_diag.KINDS)
MAX_PORT = 65535
FIRST_PAUSE, LAST_PAUSE = 0.001, 0.02  # seconds between two looks: the kernel tells nobody that a socket listens


def listening(port: int, kind: str = "tcp", address: str | None = None) -> Condition:
    """Let a program be ready as soon as it listens on a port.

    The socket is to be the program's own, or that of a process it has started. One that was there before the program
    does not count.

    :param port: the port.
    :param kind: ``"tcp"``, or ``"udp"``: then a socket is meant that is bound to the port and not connected.
    :param address: an IP address of the namespace, at which the program is to be reached: a socket of this address
        counts, or one of every address of its kind. By default any address will do.
    :return: what :meth:`NetNS.popen` takes for ``ready``.
    :raises TypeError: the port is no number, or the address none.
    :raises ValueError: there is no such port, kind or address.
    """
    return condition(port, kind, address)


listening.__module__ = "pytest_netns"


def condition(port: Any, kind: Any, address: Any) -> Listening:
    """Return what :func:`listening` returns."""
    if not isinstance(port, int) or isinstance(port, bool):
        raise TypeError(f"a port is a number, such as 80, not {port!r}")
    if not 0 < port <= MAX_PORT:
        raise ValueError(f"a port to listen on is a number from 1 to {MAX_PORT}, not {port}")
    if kind not in KINDS:
        nearest = "".join(f" (did you mean {near!r}?)" for near in difflib.get_close_matches(str(kind), KINDS, 1))
        raise ValueError(f"what listens is of the kind 'tcp' or 'udp', not {kind!r}{nearest}")
    return Listening(port, kind, _checked(address))


def _checked(address: Any) -> IPAddress | None:
    if address is None:
        return None
    if not isinstance(address, (str, ipaddress.IPv4Address, ipaddress.IPv6Address)):
        raise TypeError(f"the address to listen on is a str, such as '127.0.0.1', not {address!r}")
    try:
        return ipaddress.ip_address(str(address).partition("%")[0])
    except ValueError:
        text = f"the address to listen on is an IP address, such as '127.0.0.1' or '::1', and no name: {address!r}"
        raise ValueError(text) from None


@dataclass(frozen=True)
class Listening(Condition):
    """What ``listening`` returns."""

    port: int
    kind: str
    address: IPAddress | None

    def __str__(self) -> str:
        return f"a socket of its own that listens on {self.where()}"

    def where(self) -> str:
        """Return what is listened on, for an error."""
        at = "" if self.address is None else f" at {self.address}"
        return f"{self.kind} port {self.port}{at}"

    def is_met_by(self, found: Listener) -> bool:
        return found.port == self.port and (self.address is None or found.takes(self.address))

    def watch(self, start: Start) -> Watch:
        return _Watch(self, start)


class _Watch(Watch):
    def __init__(self, condition: Listening, start: Start) -> None:
        self._condition = condition
        self._start = start
        self._look = Look(start.ns, start.sockets)
        self._earlier = {found.inode for found in self._found()}

    def _found(self) -> list[Listener]:
        return [found for found in self._look.listeners(self._condition.kind) if self._condition.is_met_by(found)]

    def is_ready(self) -> bool:
        return any(self._is_of_the_program(found) for found in self._found())

    def instead(self) -> str:
        return self._look.text()

    def _is_of_the_program(self, found: Listener) -> bool:
        """Whether a socket is that of the program, as far as can be seen; or of a daemon, which has left its parent."""
        try:
            if any(found.inode in family.sockets_of(pid) for pid in family.descendants(self._start.process.pid)):
                return True
        except PermissionError:  # it runs as another user, and may not be looked into
            return True
        holders = family.holders_of(found.inode)
        return found.inode not in self._earlier and not any(map(_is_started_by_us, holders))


def _is_started_by_us(pid: int | None) -> bool:
    """Whether a process is this one or, with all parents in between alive, was started by it."""
    while pid is not None and pid > 1:
        if pid == posix.getpid():
            return True
        pid = family.parent_of(pid)
    return False


class Look:
    """Tells what listens in a namespace.

    :param ns: the namespace.
    :param sockets: what is to own the socket by which the kernel is asked.
    """

    def __init__(self, ns: Namespace, sockets: list[Any]) -> None:
        self._ns = ns
        self._netlink = ns.socket(AF_NETLINK, SOCK_DGRAM, netlink.NETLINK_SOCK_DIAG, child_mode="resident")
        sockets.append(self._netlink)
        self._is_told = True

    def listeners(self, kind: str) -> list[Listener]:
        """Return what listens now.

        :raises NetNSError: the kernel does not tell.
        """
        if self._is_told:
            try:
                return sock_diag.listeners(self._netlink, kind)
            except OSError as error:
                if not sock_diag.is_missing(error):
                    raise from_errno(error.errno or 0, f"{self._ns}: cannot see what listens") from error
                self._is_told = False
        # Without CONFIG_INET_DIAG or CONFIG_INET_UDP_DIAG; /proc/net shows each process its own namespace.
        shown = self._ns.run(["cat", *sock_diag.files(kind)], capture_output=True, text=True)
        return sock_diag.from_files(kind, shown.stdout)

    def text(self) -> str:
        """Return what listens, and who that is, for an error."""
        found = sorted({(each.inode, str(each)) for kind in KINDS for each in self.listeners(kind)}, key=lambda x: x[1])
        shown = [f"{text} (process {who[0]}, {who[1]})" if (who := who_holds(inode)) else text for inode, text in found]
        return "; what listens there: " + (", ".join(shown) or "nothing")

    def cookie(self) -> int:
        """Return the number of the namespace that no other ever gets; see ``syscalls.cookie_of``."""
        return syscalls.cookie_of(self._netlink)


def who_holds(inode: int) -> tuple[int, str] | None:
    """Return a process that has a socket open, with its command line, if one can be seen."""
    for pid in family.holders_of(inode):
        try:
            return pid, command_of(pid)
        except family.ENDED:
            continue
    return None


class Here:
    """The namespace of the calling thread, for :class:`Look`."""

    run = staticmethod(subprocess.run)

    @staticmethod
    def socket(family: int, kind: int, proto: int, *, child_mode: str) -> socket.socket:
        return Socket(family, kind, proto)


def look(ns: Namespace, kind: str, port: int) -> tuple[int, list[Listener]]:
    """Return the cookie of a namespace, and what listens there on a port.

    :raises NetNSError: the kernel does not tell.
    """
    sockets: list[Any] = []
    try:
        looking = Look(ns, sockets)
        return looking.cookie(), [found for found in looking.listeners(kind) if found.port == port]
    finally:
        for sock in sockets:
            sock.close()


def wait_listening(ns: Namespace, condition: Listening, timeout: float) -> None:
    """Wait until something listens in a namespace, whoever that is.

    :raises NetNSTimeoutError: nothing does in time.
    """
    deadline = syscalls.monotonic() + check_timeout(timeout, "timeout")
    sockets: list[Any] = []
    try:
        look, pause = Look(ns, sockets), FIRST_PAUSE
        while not any(map(condition.is_met_by, look.listeners(condition.kind))):
            left = deadline - syscalls.monotonic()
            if left <= 0:
                raise NetNSTimeoutError(
                    errno.ETIMEDOUT,
                    f"{ns}: nothing listens on {condition.where()} after {timeout:g} s{look.text()}",
                )
            syscalls.sleep(min(pause, left))
            pause = min(2 * pause, LAST_PAUSE)
    finally:
        for sock in sockets:
            sock.close()
