"""How the thread that starts commands comes to be in a mount namespace, and in the directory of who asks it."""

from __future__ import annotations

import contextlib
import posix
from typing import NamedTuple

from .._errors import from_errno, is_meant
from .._linux import proc, syscalls

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


class Surroundings(NamedTuple):
    """What a command inherits from who starts it, and a thread in another mount namespace has of its own."""

    directory: str | None
    umask: int


def of_caller() -> Surroundings:
    """Return those of the calling thread."""
    directory = None
    with contextlib.suppress(FileNotFoundError):  # it was removed
        directory = posix.getcwd()
    lines = proc.read("/proc/thread-self/status").splitlines()
    return Surroundings(directory, next(int(line.split()[1], 8) for line in lines if line.startswith(b"Umask:")))


class Stay:
    """Where the thread is that starts commands, which alone calls this.

    :param what: how to call the namespace in an error.
    """

    def __init__(self, what: object) -> None:
        self._what = what
        self._joined: tuple[int, int] | None = None

    def join(self, mounts: int, surroundings: Surroundings) -> None:
        """Be in a mount namespace, with these surroundings.

        :raises NetNSError: it cannot be.
        :raises OSError: the directory is not there.
        """
        identity = syscalls.namespace_id(mounts)
        if identity != self._joined:
            try:
                # Who shares its directories with other threads may not join one (setns(2)).
                syscalls.unshare(syscalls.CLONE_FS)
                syscalls.setns(mounts, syscalls.CLONE_NEWNS)
            except OSError as error:
                raise from_errno(error.errno or 0, f"{self._what}: cannot enter its mount namespace") from error
            self._joined = identity
        posix.umask(surroundings.umask)
        if surroundings.directory is not None:
            posix.chdir(surroundings.directory)
