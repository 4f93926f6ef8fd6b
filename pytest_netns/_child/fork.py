"""The child mode ``fork``: ``os.fork`` for each call."""

from __future__ import annotations

import gc
import posix as os  # see syscalls.py
import signal

# Not those of signal on top of them, which make an enumeration's member of every number: 4 % of the time of a call.
from _signal import getsignal, pthread_sigmask  # type: ignore[import-not-found]
from typing import Any

from .._errors import is_meant
from .._handle import Handle
from .._linux import syscalls
from .job import Job, flush_standard_streams, run
from .one_per_call import OneChildPerCall
from .process import Child

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


class Forked(Child):
    """A child of ``os.fork``."""

    def __init__(self, handle: Handle) -> None:
        super().__init__(handle)
        self.pids: list[int] = []
        self._waited: list[tuple[int, int]] = []  # what waitpid(2) has returned

    @property
    def pid(self) -> int | None:
        return self.pids[0] if self.pids else None

    def _has_ended(self) -> bool:
        if not self.pids or self._is_reaped():
            return True
        try:
            syscalls.keep(self._waited, os.waitpid, self.pids[0], os.WNOHANG)
        except ChildProcessError:  # the program ignores SIGCHLD, or waits for every child
            return True
        return self._is_reaped()

    def _is_reaped(self) -> bool:
        return bool(self._waited) and self._waited[-1][0] != 0

    def _code(self) -> int | None:
        return os.waitstatus_to_exitcode(self._waited[-1][1]) if self._is_reaped() else None


class ReadyToFork:
    """Lets neither a signal handler nor the garbage collector run in a forked child before it has put them aside.

    A handler that raises there would unwind the stack of the parent in the child, and a second test session run on.
    """

    def __init__(self) -> None:
        self.handled: list[int] = []
        """The signals that have a handler, which the child is to reset."""
        self._collects = False
        self._masks: list[Any] = []

    def begin(self) -> None:
        """Begin; whatever becomes of that, :meth:`end` is to be called, until it returns."""
        syscalls.load()
        self.handled = [number for number in range(1, signal.NSIG) if callable(getsignal(number))]
        self._collects = gc.isenabled()
        gc.disable()
        syscalls.keep(self._masks, pthread_sigmask, signal.SIG_BLOCK, self.handled)

    def end(self) -> None:
        if self._collects:
            gc.enable()
        if self._masks:  # what came meanwhile is handled as this is called, and may raise
            pthread_sigmask(signal.SIG_SETMASK, self._masks[0])


class Fork(OneChildPerCall):
    """One ``os.fork`` for each call."""

    name = "fork"

    def _child(self, handle: Handle) -> Forked:
        return Forked(handle)

    def _start(self, child: Forked, handle: Handle, job: Job) -> None:
        if job.runs_code_of_others:
            flush_standard_streams()
        parent = os.getpid()
        ready = ReadyToFork()
        try:
            ready.begin()
            syscalls.keep(child.pids, os.fork)
            if child.pids == [0]:
                run(child.ends[1], handle.fd, job, parent, ready.handled)
            ready.end()
        except BaseException:
            ready.end()
            raise
