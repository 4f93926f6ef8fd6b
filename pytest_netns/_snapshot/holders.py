"""Which processes have sockets open."""

from __future__ import annotations

import contextlib
import posix as os  # see syscalls.py
from collections.abc import Collection

from .._linux import family, proc

UNREADABLE = (*family.ENDED, PermissionError)
LENGTH = 40  # characters of a command


def find(inodes: Collection[int]) -> dict[int, tuple[str, ...]]:
    """Return who has each of these sockets open, as far as processes may be looked into (ptrace(2))."""
    found: dict[int, tuple[str, ...]] = {}
    for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))) if inodes else ():
        with contextlib.suppress(*UNREADABLE):
            held = family.sockets_of(pid).intersection(inodes)
            name = _name(pid) if held else ""
            found |= {inode: (*found.get(inode, ()), name) for inode in held}
    return found


def _name(pid: int) -> str:
    if pid == os.getpid():
        return "this process"
    words = proc.read(f"/proc/{pid}/cmdline").replace(b"\0", b" ").decode(errors="replace").split()
    words = words or [proc.read(f"/proc/{pid}/comm").decode(errors="replace").strip()]  # a zombie has no words
    line = " ".join([words[0].rpartition("/")[2], *words[1:]])
    return f"{line if len(line) <= LENGTH else f'{line[: LENGTH - 4]} ...'} (pid {pid})"
