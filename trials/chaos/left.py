"""What a run has left: processes, names, mounts, namespaces, links and records."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from pytest_netns._leaks.references import command_of
from pytest_netns._linux import syscalls

from .evidence import FOLDER
from .run import PAUSE, Run


class Remains:
    """What is there of a run, and was not there before it."""

    def __init__(self) -> None:
        self._links = set(os.listdir("/sys/class/net"))

    def after(self, run: Run, seconds: float) -> list[str]:
        """Return a text for each thing that is left after a while."""
        deadline = syscalls.monotonic() + seconds
        while True:
            left = self._look(run)
            if not left or syscalls.monotonic() > deadline:
                return left
            syscalls.sleep(PAUSE)

    def _look(self, run: Run) -> list[str]:
        left = [f"process {pid} ({_command(pid)})" for pid in run.processes()]
        left += [f"name {path.name}" for path in names_of(run)]
        left += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if run.token in line]
        inodes = {int(inode) for inode in run.told("namespaces")}
        for pid in map(int, filter(str.isdecimal, os.listdir("/proc"))):
            try:
                if os.stat(f"/proc/{pid}/ns/net").st_ino in inodes and run.has(pid):
                    left.append(f"process {pid} in a namespace of the run")
            except OSError:
                continue
        left += [f"record {path.name}" for place in run.places for path in _records(place, run)]
        left += [f"keys {path.name}" for path in (run.folder / "runtime").glob("pytest-netns-keys-*")]
        left += [f"part {path.name}" for path in run.folder.glob(f"{FOLDER}/*/*.part")]
        return left + [f"link {name}" for name in set(os.listdir("/sys/class/net")) - self._links]


def names_of(run: Run) -> list[Path]:
    """Return the names that the run has given."""
    return [path for place in run.places for path in place.glob(f"netns/{run.token}*")]


def _records(place: Path, run: Run) -> Iterator[Path]:
    for folder in place.glob("pytest-netns-*"):
        with contextlib.suppress(PermissionError):  # that of another user
            for path in folder.iterdir():
                if any(f"-{owner}-" in path.name for owner in run.told("owners")):
                    yield path


def _command(pid: int) -> str:
    try:
        return command_of(pid)
    except OSError:
        return "it has ended just now"
