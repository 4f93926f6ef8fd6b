"""A command that was started, and the thread that starts them."""

from __future__ import annotations

import contextlib
import posix
import queue
import select
import signal
import subprocess
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from .._child.background import Background, Task, shielded
from .._linux import proc, syscalls


class Pipes(Protocol):
    """The pipes of a command that an event loop has."""

    def descriptors(self) -> list[int]:
        """Return the descriptors of those that are open."""

    def let_go(self) -> Mapping[str, bytes]:
        """Close them; return what nobody has read, by their names."""


class Command:
    """A command that was started, and a descriptor by which it is signalled, and no other that got its pid.

    :param process: what ``subprocess.Popen`` has given. A test may have put something else in its place, whose pid is
        made up: then there is nothing to signal.
    :param is_child: whether it is a child of the thread that has started it.
    """

    def __init__(self, process: subprocess.Popen[Any], is_child: bool) -> None:
        self.process = process
        self.is_child = is_child
        self.pidfd: int | None = None
        self.pipes: Pipes | None = None
        """Its pipes, where an event loop has them."""

    def watch(self) -> None:
        """Open the descriptor; without one, it is signalled by its pid, which is its own until it is reaped."""
        if self.is_child and self.process.poll() is None:
            with contextlib.suppress(OSError):
                self.pidfd = syscalls.open_pidfd(self.process.pid)

    def is_running(self) -> bool:
        """Whether it runs; if not, it has been reaped.

        ``Popen.poll`` loses its lock, and never says again that the process has ended, where a signal handler raises in
        it; so it is only asked when there is something to be told, and in a thread of its own.
        """
        if not self.is_child or self.process.returncode is not None:
            return False
        if self.pidfd is not None and not _is_readable(self.pidfd):
            return True
        return shielded(self.process.poll) is None

    def signal(self, number: int) -> None:
        if self.is_running():
            with contextlib.suppress(ProcessLookupError):  # it has ended, and somebody else has reaped it
                if self.pidfd is None:
                    posix.kill(self.process.pid, number)  # ours, and not reaped: its pid is that of no other
                else:
                    signal.pidfd_send_signal(self.pidfd, number)

    def close(self) -> None:
        pidfd, self.pidfd = self.pidfd, None
        if pidfd is not None:
            posix.close(pidfd)


def wait(commands: list[Command], timeout: float) -> None:
    """Wait until one of these has ended, or for a time in seconds."""
    pidfds = [command.pidfd for command in commands if command.pidfd is not None]
    poll = select.poll()
    for pidfd in pidfds:
        poll.register(pidfd, select.POLLIN)
    poll.poll(max(0, timeout) * 1000)


def _is_readable(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    return bool(poll.poll(0))


class Starter:
    """A thread that starts commands, inside a namespace.

    A child process inherits the namespace of the thread that starts it, so nothing has to run after the fork. The
    thread lives as long as this object: a command that is to die with its parent (prctl(2), PR_SET_PDEATHSIG) dies with
    the thread that has started it. And no signal handler interrupts the start.

    :param begin: what the thread does first.
    """

    def __init__(self, begin: Callable[[], object]) -> None:
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._thread = Background(self._run)
        self._thread.wait(0)
        try:
            self.call(begin)
        except BaseException:
            self._tasks.put(None)
            raise

    def call(self, task: Callable[[], Any]) -> Any:
        called = Task(task)
        self._tasks.put(called)
        try:
            called.wait(syscalls.FOREVER)
        except BaseException:  # of a signal handler: what the thread starts is not to start later
            called.wait(syscalls.FOREVER)
            raise
        try:
            return called.result()
        finally:
            called.forget()

    def settle(self, timeout: float) -> None:
        """Wait until what it was to start by now is started, for a time in seconds."""
        last = Task(lambda: None)
        self._tasks.put(last)
        last.wait(timeout)

    def _run(self) -> None:
        while (task := self._tasks.get()) is not None:
            task.run()
            del task  # what it has made is not to be held until the next comes

    @property
    def native_id(self) -> int | None:
        return self._thread.native_id

    def is_child(self, pid: object) -> bool:
        """Whether a pid is that of a child which the calling thread, this one, has started and nobody has reaped."""
        if type(pid) is not int or pid <= 0:
            return False
        try:
            return pid in map(int, proc.read("/proc/thread-self/children").split())
        except OSError:  # no descriptor to spare, or a kernel without CONFIG_PROC_CHILDREN
            return syscalls.is_own_child(pid)

    def close(self, timeout: float) -> bool:
        """Let the thread end; return whether it has, within a timeout in seconds."""
        self._tasks.put(None)
        return self._thread.wait(timeout)
