"""What a program has written so far, seen without taking it from who is to read it."""

from __future__ import annotations

import contextlib
import fcntl
import posix
import stat
import struct
import subprocess
import termios
from collections.abc import Mapping
from os import SEEK_CUR
from typing import Any, Protocol

from .._linux import syscalls

LARGEST_PIPE = 1 << 20  # bytes: the default of /proc/sys/fs/pipe-max-size, which needs no privilege (pipe(7))
PAGE = 4096  # bytes: less may be free in a pipe while a writer waits
TAIL = 4000  # characters of a program's output that an error shows: the last ones


class Source(Protocol):
    """What a program writes to."""

    wakes: int | None
    """A descriptor that becomes readable when there is more, if there is one."""

    def look(self) -> bytes:
        """Return all that it has written."""

    def is_full(self) -> bool:
        """Whether it waits until somebody reads."""


class Pipe:
    """A pipe that nobody reads meanwhile: tee(2) copies what is in it.

    :param fd: its end to read from.
    :param fds: what is to own the descriptors of another pipe, for the copy.
    """

    def __init__(self, fd: int, fds: list[int]) -> None:
        self.wakes: int | None = fd
        self._fd = fd
        syscalls.keep_each(fds, posix.pipe2, posix.O_CLOEXEC | posix.O_NONBLOCK)
        self._copy = fds[-2:]
        self._seen = b""

    def look(self) -> bytes:
        count = self._count()
        if count > len(self._seen):
            self._make_room(count)
            read, write = self._copy
            copied = syscalls.tee(self._fd, write, LARGEST_PIPE)
            self._seen = b""
            while len(self._seen) < copied:
                self._seen += posix.read(read, copied)
        return self._seen

    def is_full(self) -> bool:
        return self._count() > fcntl.fcntl(self._fd, fcntl.F_GETPIPE_SZ) - PAGE

    def _count(self) -> int:
        """Return how many bytes are in it."""
        (count,) = struct.unpack("i", syscalls.ioctl(self._fd, termios.FIONREAD, b"\0" * 4))
        return int(count)

    def _make_room(self, count: int) -> None:
        """Have the pipe hold more, before the program has to wait, and that for the copy as much."""
        size = fcntl.fcntl(self._fd, fcntl.F_GETPIPE_SZ)
        if count > size // 2 and size < LARGEST_PIPE:
            with contextlib.suppress(PermissionError):  # the user's pipes have as much as they may
                size = fcntl.fcntl(self._fd, fcntl.F_SETPIPE_SZ, LARGEST_PIPE)
        if fcntl.fcntl(self._copy[1], fcntl.F_GETPIPE_SZ) < size:
            fcntl.fcntl(self._copy[1], fcntl.F_SETPIPE_SZ, size)


class File:
    """A regular file, of which another descriptor reads what comes behind its present end, or position.

    :param fd: that which the program is given.
    :param fds: what is to own the other one.
    """

    def __init__(self, fd: int, fds: list[int]) -> None:
        self.wakes: int | None = None
        syscalls.keep(fds, posix.open, f"/proc/self/fd/{fd}", posix.O_RDONLY | posix.O_CLOEXEC)
        self._fd = fds[-1]
        appends = fcntl.fcntl(fd, fcntl.F_GETFL) & posix.O_APPEND
        self._begin = posix.fstat(fd).st_size if appends else posix.lseek(fd, 0, SEEK_CUR)

    def look(self) -> bytes:
        length = posix.fstat(self._fd).st_size - self._begin
        return posix.pread(self._fd, length, self._begin) if length > 0 else b""

    def is_full(self) -> bool:
        return False


class Streams:
    """The standard output and the standard error of a program, as far as they can be seen.

    :param kwargs: the arguments of ``subprocess.Popen``.
    :param fds: what is to own the descriptors that this takes.
    """

    def __init__(self, kwargs: Mapping[str, Any], fds: list[int]) -> None:
        self._fds = fds
        self.encoding: str = kwargs.get("encoding") or "utf-8"
        self.pipes: list[str] = [name for name in ("stdout", "stderr") if _is(kwargs.get(name), subprocess.PIPE)]
        self.sources: dict[str, Source] = {}

    def open_files(self, kwargs: Mapping[str, Any]) -> None:
        """See the regular files to which a program is to write that is started next."""
        for name in ("stdout", "stderr"):
            fd = _regular_file(kwargs.get(name))
            if fd is not None:
                with contextlib.suppress(PermissionError):  # it may be written to only
                    self.sources[name] = File(fd, self._fds)

    def open_pipes(self, process: subprocess.Popen[Any]) -> None:
        """See the pipes of a process that has just been started."""
        for name in self.pipes:
            self.sources[name] = Pipe(getattr(process, name).fileno(), self._fds)

    def full(self) -> list[str]:
        """Return which of them keep the program waiting, since nobody reads."""
        return [name for name, source in self.sources.items() if source.is_full()]

    def tails(self) -> str:
        """Return the last of what the program has written, for an error."""
        found = ""
        for name, source in self.sources.items():
            written = source.look()
            text = written.decode(self.encoding, "replace")
            where = f"the last of its {name}" if len(text) > TAIL else f"its {name}"
            found += f"\n{where}:\n{text[-TAIL:].rstrip()}" if text.strip() else f"\n{where} is empty"
        return found or "\nits output is not to be seen here: give stdout=subprocess.PIPE, or a file, to have it"


def _is(target: Any, number: int) -> bool:
    return isinstance(target, int) and target == number


def _regular_file(target: Any) -> int | None:
    """Return the descriptor of what is given for a stream, if that is a regular file."""
    fd = target if isinstance(target, int) else target.fileno() if hasattr(target, "fileno") else -1
    with contextlib.suppress(OSError):  # subprocess tells what is no descriptor
        if fd >= 0 and stat.S_ISREG(posix.fstat(fd).st_mode):
            return int(fd)
    return None
