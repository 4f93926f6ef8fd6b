"""The descriptors by which a program says that it is ready."""

from __future__ import annotations

import posix
from dataclasses import dataclass
from os import environ
from typing import Any

from .._errors import is_meant
from .._linux import syscalls
from .readiness import Condition, Start, Watch

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

AF_UNIX, SOCK_DGRAM = 1, 2
CHUNK = 1 << 16  # bytes
VARIABLE = "READY_FD"


def notified() -> Condition:
    """Let a program be ready as soon as it says so by ``sd_notify(3)``, as services of systemd do.

    The variable NOTIFY_SOCKET of its environment names a socket, to which it sends ``READY=1``.

    :return: what :meth:`NetNS.popen` takes for ``ready``.
    """
    return Notified()


def inherited(variable: str = VARIABLE) -> Condition:
    """Let a program be ready as soon as it writes a newline to a descriptor that it inherits, as services of s6 do.

    :param variable: the variable of its environment that has the number of the descriptor. For a program that takes it
        as an argument, let a shell put it there: ``["sh", "-c", 'exec server --ready-fd "$READY_FD"']``.
    :return: what :meth:`NetNS.popen` takes for ``ready``.
    :raises TypeError: it is no name of a variable.
    :raises ValueError: likewise.
    """
    if not isinstance(variable, str):
        raise TypeError(f"a variable of the environment has a str for its name, such as {VARIABLE!r}, not {variable!r}")
    if not variable or "=" in variable or "\0" in variable:
        raise ValueError(f"a variable of the environment has a name such as {VARIABLE!r}, not {variable!r}")
    return Inherited(variable)


notified.__module__ = inherited.__module__ = "pytest_netns"


def _add_to_environment(start: Start, name: str, value: str) -> None:
    given = start.kwargs.get("env")
    start.kwargs["env"] = {**(environ if given is None else given), name: value}


@dataclass(frozen=True)
class Notified(Condition):
    """What ``notified`` returns."""

    def __str__(self) -> str:
        return "READY=1 at the socket of $NOTIFY_SOCKET"

    def watch(self, start: Start) -> Watch:
        # One without a file: its address belongs to the namespace, and the kernel chooses it (unix(7), autobind).
        sock = start.ns.socket(AF_UNIX, SOCK_DGRAM, child_mode="resident")
        start.sockets.append(sock)
        sock.setblocking(False)
        sock.bind("")
        _add_to_environment(start, "NOTIFY_SOCKET", "@" + sock.getsockname()[1:].decode())
        return _Datagrams(sock)


class _Datagrams(Watch):
    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._last: dict[str, str] = {}

    @property
    def wakes(self) -> list[int]:
        return [self._sock.fileno()]

    def is_ready(self) -> bool:
        while self._last.get("READY") != "1":
            try:
                text = self._sock.recv(CHUNK).decode(errors="replace")
            except BlockingIOError:
                return False
            self._last |= dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
        return True

    def instead(self) -> str:
        said = " ".join(f"{name}={value}" for name, value in self._last.items())
        return f"; what it sent there: {said or 'nothing'}"


@dataclass(frozen=True)
class Inherited(Condition):
    """What ``inherited`` returns."""

    variable: str

    def __str__(self) -> str:
        return f"a newline on the descriptor of ${self.variable}"

    def watch(self, start: Start) -> Watch:
        syscalls.keep_each(start.fds, posix.pipe2, posix.O_CLOEXEC)
        syscalls.keep(start.inherited, start.fds.pop)
        read, write = start.fds[-1], start.inherited[-1]
        posix.set_blocking(read, False)
        start.kwargs["pass_fds"] = (*start.kwargs.get("pass_fds", ()), write)
        _add_to_environment(start, self.variable, str(write))
        return _Newline(read)


class _Newline(Watch):
    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._written = b""
        self._has_ended = False

    @property
    def wakes(self) -> list[int]:
        return [self._fd]

    def is_ready(self) -> bool:
        while b"\n" not in self._written and not self._has_ended:
            try:
                chunk = posix.read(self._fd, CHUNK)
            except BlockingIOError:
                return False
            self._written += chunk
            self._has_ended = not chunk
        return b"\n" in self._written

    def instead(self) -> str:
        what = f"; what it wrote there: {self._written.decode(errors='replace')!r}"
        return what + (", and then it closed it" if self._has_ended else "")
