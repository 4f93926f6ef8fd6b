"""What there is of this process at one moment: where it is, its descriptors, threads and children."""

from __future__ import annotations

import contextlib
import errno
import posix as os  # see syscalls.py
import struct
import threading
from dataclasses import dataclass
from termios import FIONREAD
from threading import enumerate as all_threads

from .._linux import proc, syscalls
from .._multiprocessing_parts import helpers

S_IFMT, S_IFIFO = 0o170000, 0o010000  # inode(7)
STANDARD = (0, 1, 2)  # pytest's capture puts others under these numbers as it goes

File = tuple[int, int, str]
"""What a descriptor refers to: its device, its inode, and its name where many share one inode."""


@dataclass
class State:
    """What there is at one moment."""

    namespace: tuple[int, int]
    descriptors: dict[int, File]
    threads: set[threading.Thread]
    children: set[int]

    @classmethod
    def now(cls) -> State:
        """Look; it takes one free descriptor.

        :raises OSError: it cannot be seen.
        """
        outliving = helpers()
        return cls(
            syscalls.namespace_id("/proc/self/ns/net"),  # of the main thread
            _descriptors({helper.fd for helper in outliving}),
            set(all_threads()),
            _children() - {helper.pid for helper in outliving},
        )

    def new_descriptors(self, before: State) -> set[int]:
        """Return those that were not there before, or stood for something else."""
        new = {fd: file for fd, file in self.descriptors.items() if before.descriptors.get(fd) != file}
        return new.keys() - _locks(new)

    def allow(self, before: State, now: State) -> None:
        """Count what is there now, and was not there before, as there from the beginning."""
        self.descriptors |= {fd: now.descriptors[fd] for fd in now.new_descriptors(before)}
        self.threads |= now.threads - before.threads
        self.children |= now.children - before.children


def _descriptors(left_out: set[int]) -> dict[int, File]:
    found: dict[int, File] = {}
    for fd in map(int, os.listdir("/proc/self/fd")):
        if fd in left_out:
            continue
        if fd in STANDARD:
            found[fd] = 0, 0, ""
            continue
        try:
            status = os.fstat(fd)
            # All of epoll, eventfd and the like share one inode, whose mode has no type. Two of a kind are told apart
            # by nothing.
            name = "" if status.st_mode & S_IFMT else os.readlink(f"/proc/self/fd/{fd}")
        except OSError as error:
            if error.errno not in (errno.EBADF, errno.ENOENT):  # that of the listing, or closed by a thread meanwhile
                raise
        else:
            found[fd] = status.st_dev, status.st_ino, name
    return found


def _locks(descriptors: dict[int, File]) -> set[int]:
    """Return those that are a pipe with both ends and a byte in it: a lock, which he has who takes the byte.

    Libraries make one for the whole process when they are first used, as libuv with its first loop, and keep it.
    """
    ends: dict[File, list[int]] = {}
    for fd, file in descriptors.items():
        ends.setdefault(file, []).append(fd)
    return {fd for both in ends.values() if len(both) == 2 and _bytes_in_pipe(both[0]) == 1 for fd in both}


def _bytes_in_pipe(fd: int) -> int:
    if os.fstat(fd).st_mode & S_IFMT != S_IFIFO:
        return 0
    (count,) = struct.unpack("i", syscalls.ioctl(fd, FIONREAD, bytes(4)))
    return int(count)


def _children() -> set[int]:
    found: set[int] = set()
    for thread in os.listdir("/proc/self/task"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            found.update(map(int, proc.read(f"/proc/self/task/{thread}/children").split()))
    return found
