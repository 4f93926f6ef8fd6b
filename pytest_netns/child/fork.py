"""The child mode ``fork``: ``os.fork`` for each call."""

from __future__ import annotations

import contextlib
import gc
import posix as os  # see kernel.py
import signal
import socket

# Not those of signal on top of them, which make an enumeration's member of every number: 4 % of the time of a call.
from _signal import getsignal, pthread_sigmask  # type: ignore[import-not-found]
from collections.abc import Iterator

from .. import fdpass, kernel
from ..errors import from_errno, how_it_ended
from . import task
from .protocol import Target

__tracebackhide__ = True  # a failed test's report ends in the test; --full-trace shows the rest


class Forked(task.Child):
    """A child of ``os.fork``."""

    def _reap(self) -> str:
        try:
            _, status = os.waitpid(self.pid, 0)
        except ChildProcessError:  # the program ignores SIGCHLD, or waits for every child
            return how_it_ended(None)
        return how_it_ended(os.waitstatus_to_exitcode(status))


@contextlib.contextmanager
def ready_to_fork() -> Iterator[list[int]]:
    """Let neither a signal handler nor the garbage collector run in a forked child before it has put them aside.

    A handler that raises there would unwind the stack of the parent in the child, and a second test session run on.

    :return: the signals that have a handler, which the child is to reset.
    """
    kernel.load()
    handled = [number for number in range(1, signal.NSIG) if callable(getsignal(number))]
    collects = gc.isenabled()
    mask = pthread_sigmask(signal.SIG_BLOCK, handled)
    gc.disable()
    try:
        yield handled
    finally:
        if collects:
            gc.enable()
        pthread_sigmask(signal.SIG_SETMASK, mask)


class Fork(task.OneChildPerCall):
    """One ``os.fork`` for each call."""

    name = "fork"

    def _start(self, ns: Target, job: task.Job) -> tuple[socket.socket, task.Child]:
        parent, fd = os.getpid(), ns.fileno()
        try:
            ours, theirs = fdpass.pair()
            with theirs:
                try:
                    if job.runs_code_of_others:
                        task.flush_standard_streams()
                    with ready_to_fork() as handled:
                        pid = os.fork()
                        if pid == 0:
                            task.run(theirs, fd, job, parent, handled)
                        return ours, Forked(pid)
                except BaseException:
                    ours.close()
                    raise
        except OSError as error:
            raise from_errno(error.errno or 0, f"{ns}: cannot start a child") from error
