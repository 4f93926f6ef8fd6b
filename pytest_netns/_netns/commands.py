"""The commands that run in a namespace, and the end of all processes that do."""

from __future__ import annotations

import contextlib
import errno
import itertools
import posix
import signal
import subprocess
import threading
from collections.abc import Callable
from subprocess import Popen  # kept from the start, since a test may replace that of the module
from typing import Any

from .._errors import NetNSClosedError, NetNSError, NetNSLeakError, NetNSOSError, NetNSTimeoutError, is_meant
from .._handle import Handle
from .._linux import entering, proc, syscalls
from .._multiprocessing_parts import helpers
from . import mounts
from .names import Names
from .nsenter import Through
from .others import Others, named
from .outputs import READ_TIMEOUT, ask_for_pipes, unread
from .starter import Command, Starter, wait

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

TERM_TIMEOUT = 2.0  # seconds between SIGTERM and SIGKILL
KILL_TIMEOUT = 5.0  # seconds for the kernel to end what was killed
FIRST_PAUSE, LAST_PAUSE = 0.001, 0.05  # seconds between two looks at processes
STOP_ROUNDS = 5  # times to stop processes that start others, before all are killed that are known


class Processes:
    """The commands of one namespace, and what else runs in it.

    :param handle: the namespace.
    :param others: the resident child, which signals what is not a child of this process.
    :param on_output: told, as a command is ended, what it is and what it wrote to a pipe that nobody has read.
    """

    def __init__(self, handle: Handle, others: Others, on_output: Callable[[str, str], object]) -> None:
        self._handle = handle
        self.measured = handle.measured
        self._others = others
        self._on_output = on_output
        self._commands: list[Command] = []
        self._starter: Starter | None = None
        self._through: Through | None = None
        self._lock = threading.RLock()
        self._pid = posix.getpid()
        self.may_be_there = False
        """Whether something may run inside; to look for it takes a millisecond."""
        self._is_closed = False
        self._kill_at: float | None = None
        self._unseen: NetNSError | None = None
        self._strays: list[int] = []
        self._stay = mounts.Stay(handle)
        self.names: Names | None = None
        """The host names that commands find."""

    def native_ids(self) -> set[int]:
        """Return the number that the kernel gives the thread which starts commands, if there is one."""
        starter = self._starter
        return set() if starter is None or starter.native_id is None else {starter.native_id}

    def descriptors(self) -> set[int]:
        """Return the descriptors that are open as long as this object is used."""
        pidfds = {command.pidfd for command in list(self._commands) if command.pidfd is not None}
        names = set() if self.names is None else self.names.descriptors()
        return pidfds | names if self._through is None else pidfds | names | self._through.descriptors()

    def popen(self, args: Any, **kwargs: Any) -> subprocess.Popen[Any]:
        return self.start(args, kwargs, [])

    def start(self, args: Any, kwargs: dict[str, Any], started: list[Command]) -> subprocess.Popen[Any]:
        """Start a command.

        :param started: gets it, also where a signal handler raises before this returns.
        """
        if self._pid != posix.getpid():  # in a forked child there is no such thread, and the lock may be held for ever
            self._starter, self._through, self._lock, self._pid = None, None, threading.RLock(), posix.getpid()
        with self._lock:
            if self._is_closed:
                raise NetNSClosedError(errno.EBADF, f"{self._handle} is closed")
            if self._starter is None:
                self._starter = self._make_starter()
            starter = self._starter
        surroundings = None if self.names is None else mounts.of_caller()
        process: subprocess.Popen[Any] = starter.call(lambda: self._start(starter, surroundings, args, kwargs, started))
        return process

    def _make_starter(self) -> Starter:
        entering.check_threads(self._handle)
        self.may_be_there = True
        self._stay = mounts.Stay(self._handle)
        with entering.starting(self._handle):
            if entering.is_below(self._handle.fd, self._handle):
                self._through = Through(self._handle.fd, self._mounts)
                return Starter(lambda: None)
            return Starter(lambda: entering.enter(self._handle.fd, self._handle))

    def _mounts(self) -> int | None:
        """Return the mount namespace that commands are to be in, if not in that of this process."""
        own = None if self.names is None else self.names.mounts(self._others, self._handle)
        return self._others.mounts if own is None else own

    def _start(
        self,
        starter: Starter,
        surroundings: mounts.Surroundings | None,
        args: Any,
        kwargs: dict[str, Any],
        started: list[Command],
    ) -> subprocess.Popen[Any]:
        if self._through is None:
            fd = None if surroundings is None else self._mounts()
            if fd is not None and surroundings is not None:
                self._stay.join(fd, surroundings)
            process: subprocess.Popen[Any] = subprocess.Popen(args, **kwargs)
        else:
            line, others = self._through.command(args, kwargs)
            process = subprocess.Popen(line, **others)
            process.args = args
        command = Command(process, starter.is_child(process.pid))
        self._commands.append(command)  # before anything can fail
        command.watch()
        started.append(command)
        return process

    def run(
        self,
        args: Any,
        *,
        input: Any = None,
        capture_output: bool = False,
        timeout: float | None = None,
        check: bool = False,
        **kwargs: Any,
    ) -> subprocess.CompletedProcess[Any]:
        ask_for_pipes(kwargs, input, capture_output=capture_output)
        with self.popen(args, **kwargs) as process:
            try:
                out, err = process.communicate(input, timeout)
            except BaseException as error:
                process.kill()
                # As subprocess.run: a grandchild may hold the pipe, so do not read on; the error has what came so far.
                if isinstance(error, subprocess.TimeoutExpired):
                    process.wait()
                raise
        self._forget(process)
        result = subprocess.CompletedProcess(process.args, process.returncode, out, err)
        if check:
            result.check_returncode()
        return result

    def settle(self) -> None:
        """Wait until what is to be started is started, also where a signal handler has raised meanwhile."""
        if self._starter is not None:
            self._starter.settle(READ_TIMEOUT)

    def discard(self, command: Command) -> None:
        """Close the pipes of a command that has ended, and let go of it."""
        self._close_pipes(command)
        if not command.is_running():
            self._forget(command.process)

    def _close_pipes(self, command: Command) -> None:
        """Close the pipes of a command, and tell what nobody has read."""
        if command.let_go is not None:
            command.let_go()
        elif isinstance(command.process, Popen):  # and not what a test has put in its place
            for title, text in unread(command.process, self._handle):
                self._on_output(title, text)

    def _forget(self, process: subprocess.Popen[Any]) -> None:
        for command in [command for command in self._commands if command.process is process]:
            with contextlib.suppress(ValueError):  # another thread closes the namespace
                self._commands.remove(command)
            command.close()

    def close(self) -> None:
        """End what still runs in the namespace, and what its commands have started.

        All get SIGTERM, and SIGKILL if they run two seconds later. When this was interrupted, or has failed, a further
        call goes on with what there still is.

        :raises NetNSError: something does not end, or cannot be looked for.
        """
        with self._lock:
            self._is_closed = True
        if not self.may_be_there:
            return
        self._unseen = None
        try:
            self.settle()
            self._end()
        except BaseException:
            for command in self._commands:  # who does not want to wait for them does not want them either
                command.signal(signal.SIGKILL)
            raise
        for command in self._commands:
            self._close_pipes(command)
        if self._unseen is not None:
            raise self._unseen
        if self._starter is not None and not self._starter.close(READ_TIMEOUT):
            text = f"{self._handle}: the start of a command does not come to its end"
            raise NetNSTimeoutError(errno.ETIMEDOUT, text)
        while self._commands:
            self._commands[-1].close()
            del self._commands[-1]
        if self._through is not None:
            self._through.close()
        self.may_be_there = False

    def kill(self) -> None:
        """Kill what runs in the namespace, and what its commands have started, without a word before.

        :raises NetNSError: something does not end, or cannot be looked for.
        """
        self._unseen = None
        self._kill()
        if self._unseen is not None:
            raise self._unseen

    def check_strays(self) -> None:
        """Name what commands have started that has gone to the original namespace, where nothing is signalled.

        :raises NetNSLeakError: there is such a thing.
        """
        running = [pid for pid in self._strays if proc.start_time(pid) is not None]
        if running:
            raise NetNSLeakError(
                f"{self._handle}: a command has started processes in the original namespace, where the plugin ends "
                f"nothing: {named(running)}; end them before the test ends"
            )

    def _end(self) -> None:
        if any(command.is_running() for command in self._commands):
            self._signal(0)  # what they have started is found by its parents as long as these live
        commands, others = self._signal(signal.SIGTERM)
        if not commands and not others:
            return
        self._signal(signal.SIGCONT)  # one that is stopped would not hear it
        if self._kill_at is None:
            self._kill_at = syscalls.monotonic() + TERM_TIMEOUT
        pause = FIRST_PAUSE
        while syscalls.monotonic() < self._kill_at:
            commands, others = self._signal(0)
            if not commands and not others:
                return
            wait(commands, min(pause, self._kill_at - syscalls.monotonic()))
            pause = min(2 * pause, LAST_PAUSE)
        self._kill()

    def _kill(self) -> None:
        deadline = syscalls.monotonic() + KILL_TIMEOUT
        # Stopped before they are killed, so that none starts another between the look and its end.
        number, stopped = signal.SIGSTOP, None
        for turn in itertools.count():
            commands, others = self._signal(number)
            left = {*(command.process.pid for command in commands), *others}
            if not left:
                return
            if syscalls.monotonic() > deadline:
                text = f"{self._handle}: processes do not end, although they were killed: {named(sorted(left))}"
                raise NetNSOSError(errno.EBUSY, text)
            if left == stopped or turn >= STOP_ROUNDS:
                number = signal.SIGKILL
            stopped = left
            syscalls.sleep(FIRST_PAUSE)

    def _signal(self, number: int) -> tuple[list[Command], list[int]]:
        """Signal all there is; return the commands that run, and the pids of what else does.

        The commands come first, since that takes neither a look nor a descriptor nor the help of another process.
        """
        if number:
            for command in self._commands:
                command.signal(number)
        running = [command for command in self._commands if command.is_running()]
        pids = [command.process.pid for command in running]
        spared = [helper.pid for helper in helpers()]  # named by the leak check, if they are inside
        try:
            others, strays = self._others.signal(self._handle, number, pids, spared)
        except NetNSError as error:
            self._unseen = error
            return running, []
        self._strays = strays or self._strays
        return running, others
