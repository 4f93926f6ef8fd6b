"""The wait until a program is ready, and what is said when it will not be."""

from __future__ import annotations

import errno
import functools
import select
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from .._arguments import check_timeout
from .._child.background import shielded
from .._errors import NetNSError, NetNSTimeoutError, ProgramDiedError, how_it_ended, is_meant
from .._linux import syscalls
from . import commands, inhabitants
from .ending import end
from .outputs import command_line
from .readiness import Condition, Namespace, Start, Watch, conditions_of

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

FIRST_PAUSE, LAST_PAUSE = 0.001, 0.02  # seconds between two looks


class Unready(Exception):
    """A program has ended, or its time has, before it was ready.

    :param text: what to say of it, but for its output.
    """

    def __init__(self, kind: type[NetNSError], number: int, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.number = number
        self.text = text


class Waiting:
    """A program that was started, of which several conditions are to be fulfilled.

    :param where: the namespace, for errors.
    :param timeout: in seconds.
    """

    def __init__(self, where: object, start: Start, watches: list[tuple[Condition, Watch]], timeout: float) -> None:
        self._where = where
        self._start = start
        self._left = watches
        self._timeout = timeout
        self._deadline = syscalls.monotonic() + timeout

    def is_over(self) -> bool:
        """Look whether the program is ready.

        :raises Unready: it will not be.
        """
        has_ended = not self._start.commands[0].is_running()  # before the last look at what it has done
        self._left = [(condition, watch) for condition, watch in self._left if not watch.is_ready()]
        if not self._left:
            return True
        if has_ended:
            how = how_it_ended(self._start.process.returncode)
            text = f"{self._program()} ended {how} before it was ready; the test waited for {self._missing()}"
            if self._start.process.returncode == 0:
                text += "; if it has gone into the background, give it the option that keeps it in the foreground"
            raise Unready(ProgramDiedError, errno.ECHILD, text)
        if syscalls.monotonic() >= self._deadline:
            text = f"{self._program()} was not ready in {self._timeout:g} s; the test waited for {self._missing()}"
            text += "".join(watch.instead() for _, watch in self._left)
            text += "".join(
                f"; it waits for its {name}, a full pipe that nobody reads: give {name}=open(...)"
                for name in self._start.streams.full()
            )
            raise Unready(NetNSTimeoutError, errno.ETIMEDOUT, text)
        return False

    def _program(self) -> str:
        return f"{self._where}: `{command_line(self._start.process.args)}`"

    def _missing(self) -> str:
        return " and ".join(str(condition) for condition, _ in self._left)

    def pauses(self) -> Iterator[float]:
        """Yield how long to wait until each next look, at most, in seconds."""
        pause = FIRST_PAUSE
        while True:
            yield max(0, min(pause, self._deadline - syscalls.monotonic()))
            pause = min(2 * pause, LAST_PAUSE)

    def wait(self) -> None:
        """Wait until the program is ready.

        :raises Unready: it will not be.
        """
        pidfd = self._start.commands[0].pidfd
        with select.epoll() as poll:
            if pidfd is not None:
                poll.register(pidfd, select.EPOLLIN)
            for fd in {fd for _, watch in self._left for fd in watch.wakes}:
                poll.register(fd, select.EPOLLIN | select.EPOLLET)  # what is in a pipe stays there, and wakes once
            for pause in self.pauses():
                if self.is_over():
                    return
                poll.poll(pause)


class Program:
    """A program that is started, waited for, and ended if it does not become ready.

    :param ns: where.
    :param processes: what starts it.
    :param ready: what is given for ``ready``; ``None`` is nothing to wait for.
    :param timeout: how long it may take, in seconds.
    """

    def __init__(self, ns: Namespace, processes: commands.Processes, ready: Any, timeout: float) -> None:
        self._ns = ns
        self._conditions = conditions_of(ready)
        self._timeout = check_timeout(timeout, "ready_timeout")
        self._processes = processes

    def measured(self, args: Any) -> AbstractContextManager[None]:
        """Measure a block in which it becomes ready."""
        what = f"until `{command_line(args)}` is ready" if self._conditions else "starting a program"
        return self._processes.measured(what)

    def prepare(self, kwargs: dict[str, Any]) -> Start:
        """Return what is then started, or given up, with these arguments of ``subprocess.Popen``."""
        return Start(self._ns, kwargs)

    def begin(self, start: Start, args: Any) -> Waiting:
        """Start it."""
        start.streams.open_files(start.kwargs)
        watches = [(condition, condition.watch(start)) for condition in self._conditions]
        process = self._processes.start(args, start.kwargs, start.commands)
        syscalls.close_all(start.inherited)
        start.streams.open_pipes(process)
        return Waiting(self._ns, start, watches, self._timeout)

    def give_up(self, start: Start, error: BaseException) -> BaseException:
        """End it, since an error has come, and return that; if it is that it will not be ready, with its output.

        Call it again where a signal handler raises meanwhile, which may be before it has begun.
        """
        tails = shielded(functools.partial(self._end, start))
        return error.kind(error.number, error.text + tails) if isinstance(error, Unready) else error

    def _end(self, start: Start) -> str:
        """End it; return the last of what it has written."""
        tails = ""
        try:
            self._processes.settle()
            while start.commands:
                end(start.commands[-1], inhabitants.TERM_TIMEOUT, inhabitants.KILL_TIMEOUT)
                tails = start.streams.tails()
                self._processes.discard(start.commands.pop())
        finally:
            start.close()
        return tails


def popen(program: Program, args: Any, kwargs: dict[str, Any]) -> subprocess.Popen[Any]:
    """Start a program; return its process as soon as it is ready.

    :raises NetNSError: it will not be.
    """
    start = program.prepare(kwargs)
    try:
        with program.measured(args):
            program.begin(start, args).wait()
        process = start.process
        start.close()
    except BaseException as error:
        try:
            told = program.give_up(start, error)
        except BaseException:
            program.give_up(start, error)
            raise
        if told is error:
            raise
        raise told from None
    return process
