"""The commands that run in a namespace, and the end of all processes that do."""

from __future__ import annotations

import contextlib
import errno
import posix
import signal
import subprocess
import threading
from collections.abc import Callable
from subprocess import Popen  # kept from the start, since a test may replace that of the module
from typing import Any

from .._errors import NetNSClosedError, NetNSTimeoutError, is_meant
from .._handle import Handle
from .._linux import entering
from . import mounts
from .inhabitants import Inhabitants
from .names import Names
from .nsenter import Through
from .others import Others
from .outputs import READ_TIMEOUT, ask_for_pipes, titled, unread
from .starter import Command, Starter

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


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
        self._inhabitants = Inhabitants(handle, others)
        self._commands = self._inhabitants.commands
        self._starter: Starter | None = None
        self._through: Through | None = None
        self._lock = threading.RLock()
        self._pid = posix.getpid()
        self.may_be_there = False
        """Whether something may run inside; to look for it takes a millisecond."""
        self._is_closed = False
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
        if command.pipes is not None:
            for name, rest in command.pipes.let_go().items():
                self._on_output(*titled(name, command.process, self._handle, rest.decode(errors="replace")))
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
        self._inhabitants.unseen = None
        try:
            self.settle()
            self._inhabitants.end()
        except BaseException:
            for command in self._commands:  # who does not want to wait for them does not want them either
                command.signal(signal.SIGKILL)
            raise
        for command in self._commands:
            self._close_pipes(command)
        if self._inhabitants.unseen is not None:
            raise self._inhabitants.unseen
        if self._starter is not None and not self._starter.close(READ_TIMEOUT):
            text = f"{self._handle}: the start of a command does not come to its end"
            raise NetNSTimeoutError(errno.ETIMEDOUT, text)
        while self._commands:
            self._commands[-1].close()
            del self._commands[-1]
        if self._through is not None:
            self._through.close()
        self.may_be_there = False

    def ask_to_end(self) -> Inhabitants | None:
        """Refuse further commands; return what may run, which is to be asked to end, if there can be anything.

        A process that was forked has none of its own.
        """
        with self._lock:
            self._is_closed = True
        if not self.may_be_there or self._pid != posix.getpid():
            return None
        self.settle()
        return self._inhabitants

    def kill(self) -> None:
        """Kill what runs in the namespace, and what its commands have started, without a word before.

        :raises NetNSError: something does not end, or cannot be looked for.
        """
        self._inhabitants.unseen = None
        self._inhabitants.kill()
        if self._inhabitants.unseen is not None:
            raise self._inhabitants.unseen

    def check_strays(self) -> None:
        """Name what commands have started that has gone to the original namespace, where nothing is signalled.

        :raises NetNSLeakError: there is such a thing.
        """
        self._inhabitants.check_strays()
