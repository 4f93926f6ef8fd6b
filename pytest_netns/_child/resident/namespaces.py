"""A namespace of the parent's, and what is written in one."""

from __future__ import annotations

import _socket as socket
import os

from ..._linux import loopback, run_netns, syscalls
from .record import Entry


class Namespace:
    """A namespace of the parent's: its cookie, the descriptor that keeps its number from being used again, its name.

    :param about: what it is called in reports, and the test for which it was made.
    """

    def __init__(self, fd: int, cookie: int, name: str | None = None, about: tuple[str, ...] = ("", "")) -> None:
        self.fd = fd
        self.cookie = cookie
        self.name = name
        self.lo = loopback.UP
        self._sockets: list[int] = []  # made before they are asked for
        self._specs: list[tuple[int, int, int]] = []
        self.be_about(*about)
        # Of one that stays after the end of the session.
        self.mounts: list[int] = []
        """A descriptor of the mount namespace in which its commands are to be, if there is one."""
        self.pipes: list[int] = []
        """The other ends of what its programs write to or read from."""

    def be_about(self, label: str, test: str) -> None:
        """Take what it is for, from now on."""
        self.label, self.test, self.since = label, test, syscalls.monotonic()

    def entry(self, key: int, name: str | None) -> Entry:
        return Entry(key, syscalls.namespace_id(self.fd), self.cookie, name)

    def remove_name(self) -> None:
        if self.name is not None:
            run_netns.remove(self.name, lambda path: syscalls.namespace_id(path) == syscalls.namespace_id(self.fd))
            self.name = None

    def make_sockets(self, specs: list[tuple[int, int, int]]) -> None:
        """Make sockets before they are asked for, in this namespace, which the caller is in."""
        try:
            self._sockets, self._specs = make_sockets(specs), specs
        except OSError:
            return  # at a limit, for example: who asks for them is told why

    def take_sockets(self, specs: list[tuple[int, int, int]]) -> list[int]:
        """Return the sockets that there are already, which the caller owns then, if they are these."""
        made, self._sockets = self._sockets, []
        if self._specs != specs:
            syscalls.close_all(made)
        return made

    def close(self) -> None:
        syscalls.close_all(self._sockets)
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)
        syscalls.close_all(self.mounts)
        syscalls.close_all(self.pipes)


def write_sysctl(path: str, value: str) -> None:
    with open(f"/proc/sys/{path}", "wb", buffering=0) as file:
        # With the end of the line, as sysctl(8): without it, a value that is empty would be nothing to write.
        file.write(value.removesuffix("\n").encode() + b"\n")


def bind_if_not_locked(name: str) -> str:
    """Bind a name, or say who has the directory locked; the parent tries again, as others must not wait for that."""
    try:
        run_netns.bind(name)
    except run_netns.Locked as locked:
        return locked.holder
    return ""


def make_sockets(specs: list[tuple[int, int, int]]) -> list[int]:
    """Make sockets, all or none, each of a family, a type and a protocol; return their descriptors."""
    fds: list[int] = []
    try:
        for family, kind, protocol in specs:
            fds.append(socket.SocketType(family, kind, protocol).detach())
    except BaseException:
        syscalls.close_all(fds)
        raise
    return fds
