"""What is seen of the namespaces of a test whose process has died in it, before they are undone.

The test process cannot report its own death: by ``kill -9``, a crash of the interpreter, ``os._exit()``, or the method
``thread`` of pytest-timeout. This process outlives it for a moment. In that moment it starts a program that looks, and
gives it a limit of time: whatever becomes of that program, the namespaces are undone when it has ended.
"""

from __future__ import annotations

import fcntl
import os
import select
import sys

from ..._linux import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal

    from .namespaces import Namespace
else:
    import _signal as signal  # without the enumerations, which take milliseconds

PROGRAM = os.path.join(__file__.rsplit(os.sep, 3)[0], "_report", "afterwards", "__main__.py")
MOST = 30  # namespaces that are looked at
PAUSE = 0.01  # seconds between two looks at the program, where the kernel has no pidfd_open(2)


class Witness:
    """Has a program tell of the namespaces that the test process has left.

    :param seconds: how long the program may take.
    :param fds: two descriptors, which this owns from then on: a file that begins with the name of the running test and
        a zero, between tests with the zero, and a file to write to, which is locked until it has been written to
        (flock(2)).
    """

    def __init__(self, seconds: float, fds: list[int]) -> None:
        self._seconds = seconds
        self._fds = fds

    def look(self, namespaces: list[Namespace]) -> None:
        """Have the namespaces looked at if the test process died in a test, and let go of the files."""
        running, out = self._fds
        try:
            if namespaces and os.pread(running, 1, 0) > b"\0":
                self._run(running, out, namespaces)
        except (OSError, ValueError):
            return  # nothing is said then; what is to be undone is more important
        finally:
            _unlock(out)
            syscalls.close_all(self._fds)

    def _run(self, running: int, out: int, namespaces: list[Namespace]) -> None:
        looked_at = namespaces[:MOST]
        left_out = len(namespaces) - len(looked_at)
        arguments = [str(number) for number in (os.getpid(), running, out, self._seconds, left_out)]
        for one in looked_at:
            arguments += [str(one.fd), str(one.lo), one.label]
        fds = [running, out, *(one.fd for one in looked_at)]
        for fd in fds:
            os.set_inheritable(fd, True)
        pid = os.posix_spawn(sys.executable, [sys.executable, "-I", "-S", "-B", PROGRAM, *arguments], os.environ)
        try:
            _wait(pid, self._seconds)
        finally:
            os.kill(pid, signal.SIGKILL)  # it is not reaped, so that the number is still its own
            os.waitpid(pid, 0)


def _unlock(fd: int) -> None:
    """Unlock a file, also for a process that the test has forked, which may have a copy of the descriptor."""
    try:
        fcntl.flock(fd, fcntl.LOCK_UN)
    except OSError:
        return  # one that cannot be locked, such as a terminal of some kind


def _wait(pid: int, seconds: float) -> None:
    """Wait for the end of a child, for a limited time."""
    pidfd = syscalls.open_pidfd(pid)
    if pidfd is not None:
        with os.fdopen(pidfd, "rb", buffering=0) as ended:
            select.select([ended], [], [], seconds)
        return
    deadline = syscalls.monotonic() + seconds
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None and syscalls.monotonic() < deadline:
        syscalls.sleep(PAUSE)
