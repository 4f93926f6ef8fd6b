"""What several test modules need."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_netns import NetNS
from pytest_netns._child.resident.nsid_watch import Observer
from pytest_netns._linux import proc, syscalls
from pytest_netns._netns.factory import Session

needs_another_user = pytest.mark.skipif(
    Path("/proc/self/uid_map").read_text().split()[2:] == ["1"], reason="the user namespace has one user only"
)
needs_privilege = pytest.mark.skipif(
    not proc.has_capability(syscalls.CAP_SYS_ADMIN), reason="only the resident child may be inside, and sees names"
)
PATIENCE = 20.0  # seconds after which what should have happened is taken not to happen any more


def eventually(condition: Callable[[], object], what: str) -> None:
    """Wait until something holds that nothing announces, such as the end of another's child."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"not within {PATIENCE:g} s: {what}"
        time.sleep(0.005)


def descriptors() -> dict[str, str]:
    """Return our descriptors, and what each refers to."""
    found = {}
    for entry in os.listdir("/proc/self/fd"):
        try:
            found[entry] = os.readlink(f"/proc/self/fd/{entry}")
        except FileNotFoundError:
            continue  # that of the listing itself
    return found


def is_running(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def children_of(pid: int | str) -> list[int]:
    """Return the pids of the children of a process, or of ``"self"``."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            found += map(int, (task / "children").read_text().split())
    return found


def is_gone(ns: NetNS) -> bool:
    """Whether nothing keeps a closed namespace any more. Its inode may be that of another by then."""
    return not ns._modes.resident.still_there([ns._handle.key])


def listeners(ns: NetNS) -> int:
    """Return how many sockets of rtnetlink in a namespace belong to multicast groups (proc_pid_net(5), netlink)."""
    table = ns.run(["cat", "/proc/self/net/netlink"], stdout=subprocess.PIPE, text=True, check=True).stdout
    lines = table.splitlines()[1:]
    return sum(int(line.split()[3], 16) != 0 for line in lines if line.split()[1] == "0")


class Watch:
    """Tells whether one of these namespaces is still there, until it is closed itself."""

    def __init__(self, *paths: str) -> None:
        home = syscalls.open_own_namespace()
        try:
            self._numbers = range(len(paths))
            self._observer = Observer(home)
            for number, path in enumerate(paths):
                fd = os.open(path, os.O_RDONLY)
                self._observer.watch(number, fd)
                os.close(fd)
        finally:
            os.close(home)

    def there(self) -> set[int]:
        return {number for number in self._numbers if self._observer.there(number)}

    def close(self) -> None:
        self._observer.close()


def named_namespaces() -> set[str]:
    """Return the names under /run/netns."""
    try:
        return set(os.listdir("/run/netns"))
    except FileNotFoundError:
        return set()


def names_mounted() -> list[str]:
    """Return the mount points below /run/netns."""
    return [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines() if "/run/netns/" in line]


def links() -> set[str]:
    """Return the names of the links in the original namespace."""
    return set(os.listdir("/sys/class/net"))


def links_of_networks() -> set[str]:
    """Return the names of the links in the original namespace that look like those of our networks.

    It is the machine's own namespace, where others may make and end links at any time.
    """
    found = set()
    for name in links():
        with contextlib.suppress(FileNotFoundError):  # it has ended just now
            if Path(f"/sys/class/net/{name}/address").read_text().startswith("02:00:00:00:"):
                found.add(name)
    return found


def output(*command: str) -> str:
    """Return what a command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def end_resident(session: Session) -> None:
    """Kill the resident child, which keeps its filter, if it runs."""
    pid = session.modes.resident.pid
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not is_running(pid), "the resident child is dead")
