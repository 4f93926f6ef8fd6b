"""The processes of a run that it does not tell of."""

from __future__ import annotations

import os

from pytest_netns._child.resident.witness import PROGRAM
from pytest_netns._linux import syscalls

from .run import Run


def mode_children(run: Run) -> list[int]:
    """Look for a child of a worker that is no other kind, for as long as one may take to come."""
    deadline = syscalls.monotonic() + 1.0
    while syscalls.monotonic() < deadline:
        known = {int(pid) for kind in ("residents", "commands", "workers") for pid in run.told(kind)}
        for worker in run.alive("workers"):
            # A command is told of only after it was started, but it is no Python.
            found = [pid for pid in children_of(worker) - known if _is_of_python(pid)]
            if found:
                return found
    return []


def children_of(pid: int) -> set[int]:
    found: set[int] = set()
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as file:
                found |= {int(child) for child in file.read().split()}
    except (FileNotFoundError, ProcessLookupError):
        pass  # it has ended meanwhile
    return found


def _is_of_python(pid: int) -> bool:
    try:
        return "python" in os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return False


def witnesses(residents: list[int]) -> list[int]:
    """Return the programs that look at what dead tests have left."""
    return [pid for resident in residents for pid in children_of(resident) if _is_a_witness(pid)]


def _is_a_witness(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return PROGRAM.encode() in file.read().split(b"\0")
    except OSError:
        return False
