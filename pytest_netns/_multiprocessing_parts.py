"""The undocumented parts of ``multiprocessing`` that we use; tests/project/test_private_names.py watches each."""

from __future__ import annotations

import contextlib
import posix as os  # see _linux/syscalls.py
import signal
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess


class Helper(NamedTuple):
    """A process that ``multiprocessing`` starts when it is first needed, and that outlives a test."""

    name: str
    pid: int
    fd: int
    """The descriptor by which this process keeps it."""
    owner: Any

    def end(self) -> None:
        """Kill it and reap it, so that the next use starts another."""
        os.kill(self.pid, signal.SIGKILL)
        self.owner._stop()


def helpers() -> list[Helper]:
    """Return the fork server and the resource tracker, where they run; what nobody has imported does not."""
    found: list[tuple[Any, int | None, int | None]] = []
    if module := sys.modules.get("multiprocessing.forkserver"):
        server = module._forkserver
        found.append((server, server._forkserver_pid, server._forkserver_alive_fd))
    if module := sys.modules.get("multiprocessing.resource_tracker"):
        tracker = module._resource_tracker
        found.append((tracker, tracker._pid, tracker._fd))
    return [
        Helper(type(owner).__name__, pid, fd, owner) for owner, pid, fd in found if pid is not None and fd is not None
    ]


def kill_fork_server() -> None:
    """Kill the fork server, if there is one, and wait for its end; nothing public ends one that hangs."""
    for helper in helpers():
        if helper.name == "ForkServer":
            os.kill(helper.pid, signal.SIGKILL)
            # Until it has ended, multiprocessing takes it for one that runs, and asks it again. It is to reap it, too.
            with contextlib.suppress(ChildProcessError):
                os.waitid(os.P_PID, helper.pid, os.WEXITED | os.WNOWAIT)


def mark_reaped(process: BaseProcess) -> None:
    """Let a process count as ended where somebody else has reaped it, or ``join`` would wait for ever."""
    popen: Any = process._popen  # type: ignore[attr-defined]
    popen.returncode = 0
