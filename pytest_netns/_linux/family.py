"""A process and what descends from it, and the sockets that they have open."""

from __future__ import annotations

import contextlib
import posix as os  # see syscalls.py
import re
from collections.abc import Iterator

from . import proc

ENDED = (FileNotFoundError, ProcessLookupError)


def descendants(pid: int) -> list[int]:
    """Return a process and what descends from it, as far as the parents in between live (proc_pid_task(5)).

    Without CONFIG_PROC_CHILDREN, it is the process alone.
    """
    found = [pid]
    for each in found:  # which grows
        with contextlib.suppress(*ENDED):
            for task in os.listdir(f"/proc/{each}/task"):
                with contextlib.suppress(*ENDED):
                    found += map(int, proc.read(f"/proc/{each}/task/{task}/children").split())
    return found


def sockets_of(pid: int) -> set[int]:
    """Return the inodes of the sockets that a process has open.

    :raises PermissionError: it may not be looked into (ptrace(2)).
    """
    found = set()
    with contextlib.suppress(*ENDED):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(*ENDED):
                match = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{name}"))
                if match:
                    found.add(int(match[1]))
    return found


def holders_of(inode: int) -> Iterator[int]:
    """Yield the processes that can be seen to have a socket open."""
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            with contextlib.suppress(PermissionError):
                if inode in sockets_of(int(entry)):
                    yield int(entry)


def parent_of(pid: int) -> int | None:
    """Return the parent of a process, or ``None`` if it has ended."""
    fields = proc.status_of(pid)
    return None if fields is None else int(fields[1])
