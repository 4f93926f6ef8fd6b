"""The sessions of this user, each with a resident child that is asked over a socket in the directory of the journal."""

from __future__ import annotations

import _socket as socket
import contextlib
import marshal
import os
from collections.abc import Iterator
from typing import NamedTuple

from .._child.reply import checked
from .._child.resident import requests
from .._child.resident.directory import Directory, Unusable, parents
from .._child.resident.reaper import command_of, namespace_of
from .._child.resident.record import SOCKET, path_of_socket
from .._errors import NetNSError
from .._linux import fdpass, syscalls

TIMEOUT = 10.0  # seconds for one answer


class Found(NamedTuple):
    """A namespace of a session."""

    socket: str
    """The path of the directory, and the name of the socket in it."""
    pid: int
    """That of the pytest which has made it."""
    key: int
    identity: tuple[int, int]
    label: str
    test: str
    age: float
    """In seconds."""
    is_kept: bool
    is_running: bool
    """Whether its session goes on."""

    @property
    def name(self) -> str:
        """By which it is found, among all of this user."""
        return f"{self.pid}-{self.key}"

    def __str__(self) -> str:
        return f"{self.name} ({self.label}{f' of {self.test}' if self.test else ''})"


def find() -> list[Found]:
    """Return the namespaces of all sessions of this user, session by session."""
    return sorted((one for directory in _directories() for one in _in(directory)), key=lambda one: (one.pid, one.key))


def _directories() -> Iterator[str]:
    for parent in parents():
        with contextlib.suppress(Unusable):  # there is none, or it is not ours alone
            directory = Directory(parent, make=False)
            directory.close()
            yield parent


def _in(parent: str) -> Iterator[Found]:
    with contextlib.closing(Directory(parent, make=False)) as directory:
        names = [name for name in os.listdir(directory.fd) if name.startswith(SOCKET)]
    for name in names:
        path = f"{parent}:{name}"
        try:
            answer = ask(path, fdpass.Received(), requests.LIST)
        except (ConnectionError, FileNotFoundError):
            continue  # its resident child was killed; the next session removes what is left
        pid, is_running, found = marshal.loads(answer)
        for key, device, inode, label, test, age, is_kept in found:
            yield Found(path, pid, key, (device, inode), label, test, age, is_kept, is_running)


def ask(path: str, received: fdpass.Received, verb: bytes, *arguments: int) -> bytes:
    """Ask a resident child.

    :param path: as of :class:`Found`.
    :param received: what owns the descriptors that come with the answer.
    :raises ConnectionError: it does not run.
    :raises NetNSError: it cannot do it.
    """
    parent, _, name = path.rpartition(":")
    channel = socket.SocketType(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
    try:
        fdpass.limit(channel, TIMEOUT)
        with contextlib.closing(Directory(parent, make=False)) as directory:
            channel.connect(path_of_socket(directory.fd, name))
        fdpass.send(channel, verb + marshal.dumps(arguments, requests.ANY_PYTHON))
        return checked(fdpass.receive(channel, received), "the session")
    except (fdpass.Closed, ConnectionError):
        raise ConnectionRefusedError from None
    except (TimeoutError, BlockingIOError):
        raise NetNSError(f"the resident child of {name} has not answered within {TIMEOUT:g} s") from None
    finally:
        channel.close()


def choose(name: str) -> Found:
    """Return the namespace that is meant.

    :param name: its name, its label or its inode.
    :raises NetNSError: none is, or several are.
    """
    there = find()
    for of in (lambda one: one.name, lambda one: one.label, lambda one: str(one.identity[1])):
        meant = [one for one in there if of(one) == name]
        if len(meant) == 1:
            return meant[0]
        if meant:
            raise NetNSError(f"several are called {name!r}; give one of: {', '.join(map(str, meant))}")
    known = f"there are: {', '.join(map(str, there))}" if there else "there is none at all"
    raise NetNSError(f"no namespace of yours is called {name!r}; {known}")


def enter(found: Found) -> None:
    """Move this process, of one thread, into a namespace, and where its commands find host names.

    :raises ConnectionError: its resident child does not run any more.
    :raises NetNSError: it is not there any more.
    :raises OSError: this process may not.
    """
    with fdpass.Received() as received:
        ask(found.socket, received, requests.ENTER, found.key)
        ns, *mounts = received.fds
        if syscalls.is_owned_below(ns):
            syscalls.setns(syscalls.open_owner(ns, received.fds), syscalls.CLONE_NEWUSER)
        syscalls.setns(ns)
        if mounts:
            directory = os.getcwd()
            syscalls.setns(mounts[0], syscalls.CLONE_NEWNS)
            with contextlib.suppress(OSError):  # it is not to be seen there
                os.chdir(directory)  # who joins a mount namespace is in its root directory then (setns(2))
        received.close()


def end(found: Found) -> None:
    """Kill what runs in a namespace that was kept, and let it go.

    :raises NetNSError: its session goes on, or something does not end.
    """
    with fdpass.Received() as received:
        ask(found.socket, received, requests.END, found.key)


def processes(found: list[Found]) -> dict[Found, list[str]]:
    """Return what runs in each namespace, as far as this user may see it: the pid and the command line."""
    inside: dict[tuple[int, int], list[str]] = {one.identity: [] for one in found}
    for pid in sorted(int(entry) for entry in os.listdir("/proc") if entry.isdecimal()):
        identity = namespace_of(pid)
        if identity in inside:
            inside[identity].append(f"{pid} {command_of(pid)}")
    return {one: inside[one.identity] for one in found}
