"""How a run is made to run short of something, and for how long."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

from pytest_netns._linux import syscalls

from .run import Missed, Run

NOT_STARTED = 99  # how the command of a run ends that could not be given what it is to be short of
# A mount namespace where /run, and what else records can be in, is a file system of 4 MB; who is not root takes a user
# namespace for it.
_MAPPED = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
_MOUNT = f"""
set -e
trap 'exit {NOT_STARTED}' EXIT
mkdir small
mount -t tmpfs -o size=4m,nr_inodes=256,mode=755 tmpfs small
mkdir small/run small/tmp
%s
mount --bind small/run /run
exec "$@"
"""
IN_A_SMALL_RUN = ["unshare", "--mount", *_MAPPED, "sh", "-c", _MOUNT % "", "sh"]
IN_A_READ_ONLY_RUN = [
    *IN_A_SMALL_RUN[:-2],
    _MOUNT % "mount -o remount,bind,ro small",
    "sh",
]
SMALL = {"CHAOS_TMPDIR": "small/tmp"}


@contextlib.contextmanager
def of(what: int, pid: int, limit: int) -> Iterator[None]:
    """Lower a limit of a process (getrlimit(2)), for the length of a block."""
    try:
        soft, hard = resource.prlimit(pid, what)
        resource.prlimit(pid, what, (limit if hard < 0 else min(limit, hard), hard))
    except ProcessLookupError:
        raise Missed("the process had ended") from None
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, what, (soft, hard))


@contextlib.contextmanager
def of_namespaces(pid: int, limit: int) -> Iterator[None]:
    """Lower the number of network namespaces that the user namespace of a process may have, for the length of a block.

    :raises Missed: it is in ours, which is not to be disturbed.
    """
    try:
        userns = os.open(f"/proc/{pid}/ns/user", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        raise Missed("the process had ended") from None
    try:
        if syscalls.namespace_id(userns) == syscalls.namespace_id("/proc/self/ns/user"):
            raise Missed("it is in no user namespace of its own")
        before = _max_net_namespaces(userns)
        _max_net_namespaces(userns, str(limit))
        try:
            yield
        finally:
            _max_net_namespaces(userns, before)
    finally:
        os.close(userns)


def _max_net_namespaces(userns: int, value: str = "") -> str:
    write = 'echo "$0" > /proc/sys/user/max_net_namespaces' if value else "cat /proc/sys/user/max_net_namespaces"
    return subprocess.run(
        ["nsenter", f"--user=/proc/self/fd/{userns}", "--preserve-credentials", "sh", "-c", write, value],
        pass_fds=[userns],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.strip()


@contextlib.contextmanager
def of_space(folder: Path) -> Iterator[None]:
    """Fill the file system of a folder, for the length of a block: its blocks, then its inodes."""
    made = [folder / "filling"]
    try:
        with contextlib.suppress(OSError), made[0].open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
        with contextlib.suppress(OSError):
            while True:
                path = folder / f"filling-{len(made)}"
                path.touch(exist_ok=False)
                made.append(path)
        yield
    finally:
        for path in made:
            path.unlink(missing_ok=True)


def threads(run: Run) -> int:
    """Return how many threads all processes of a run have: what RLIMIT_NPROC counts."""
    count = 0
    for pid in run.processes():
        with contextlib.suppress(OSError):
            count += len(os.listdir(f"/proc/{pid}/task"))
    return count


def small(run: Run) -> Path:
    """Wait for the small file system of a run, and return it as it is seen from here."""
    path = Path(f"/proc/{run.pid}/root{run.folder}/small")
    run.one_of(lambda: [run.pid] if (path / "tmp").exists() else [])
    return path
