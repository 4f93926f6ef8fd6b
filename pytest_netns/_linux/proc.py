"""What /proc says of processes, and of this one."""

from __future__ import annotations

import posix as os
from os import environ

from .syscalls import namespace_id

CHUNK = 1 << 16  # bytes: more than most files of /proc have

ENTERED = "PYTEST_NETNS_USERNS"
"""The variable that tells children, such as xdist's workers, the inodes of the user namespace that pytest has entered,
and of the one that it comes from."""
INITIAL_USER_NAMESPACE = 0xEFFFFFFD  # its inode, <linux/nsfs.h>


def read(path: str) -> bytes:
    """Return what is in a file, as a rule one of /proc, in as few system calls as possible."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        content = os.read(fd, CHUNK)
        while chunk := os.read(fd, CHUNK):
            content += chunk
    finally:
        os.close(fd)
    return content


def status_of(pid: int | str) -> list[bytes] | None:
    """Return the fields of a process from its state on, or ``None`` if there is none (proc_pid_stat(5))."""
    try:
        return read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def has_ended(pid: int | str, fields: list[bytes] | None) -> bool:
    """Whether a process has ended, as its status says: a zombie has, if no thread of it lives on."""
    if fields is None or fields[0] == b"X":
        return True
    if fields[0] != b"Z":
        return False
    return len(live_tasks(pid)) == 0


def live_tasks(pid: int | str) -> list[str]:
    """Return the threads of a process that have not ended; the first one may have ended before others (proc(5))."""
    try:
        tasks = os.listdir(f"/proc/{pid}/task")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [task for task in tasks if (status_of(f"{pid}/task/{task}") or [b"X"])[0] not in (b"Z", b"X")]


def start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks since boot, or ``None`` if it has ended."""
    fields = status_of(pid)
    return None if fields is None or has_ended(pid, fields) else int(fields[19])


def capabilities() -> int:
    """Return the capabilities that this process has in effect, a bit for each (capabilities(7))."""
    lines = read("/proc/self/status").splitlines()
    return next(int(line.split()[1], 16) for line in lines if line.startswith(b"CapEff:"))


def has_capability(number: int) -> bool:
    """Whether this process has a capability in effect."""
    return bool(capabilities() >> number & 1)


def uid_outside() -> int:
    """Return who this process is in the user namespace around its own, and so the same before and after it entered."""
    uid = os.geteuid()
    for line in read("/proc/self/uid_map").splitlines():
        first, outside, count = map(int, line.split())
        if first <= uid < first + count:
            return uid - first + outside
    return uid


def user_namespace() -> int:
    """Return the inode of the user namespace of this process; a kernel without CONFIG_USER_NS has but the initial."""
    try:
        return namespace_id("/proc/self/ns/user")[1]
    except FileNotFoundError:
        return INITIAL_USER_NAMESPACE


def user_namespace_before() -> int | None:
    """Return the inode of the user namespace that pytest comes from, where this process is in one it has entered."""
    entered, _, before = environ.get(ENTERED, "").partition(" ")
    return int(before) if entered and entered == str(user_namespace()) else None


def is_in_user_namespace_of_pytest() -> bool:
    """Whether this process is in a user namespace that pytest, or a parent of this process, has made and entered."""
    return user_namespace_before() is not None
