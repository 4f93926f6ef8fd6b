"""The commands that run in a namespace, ended with it."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import posix
import shlex
import signal
import subprocess
import textwrap
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from . import inside, kernel
from .errors import NetNSOSError, how_it_ended
from .holders import command_of
from .through import Through

__tracebackhide__ = True  # a failed test's report ends in the test; --full-trace shows the rest

TERM_TIMEOUT = 2.0  # seconds between SIGTERM and SIGKILL
KILL_TIMEOUT = 5.0  # seconds for the kernel to end what was killed
PAUSE = 0.005  # seconds between two looks at processes
STOP_ROUNDS = 5  # times to stop processes that start others, before all are killed that are known
PIPE_LIMIT = 1 << 20  # bytes: what a pipe can hold (pipe(7), /proc/sys/fs/pipe-max-size)
TITLE_LENGTH = 60  # characters of a command in the title of its output
OUTPUT_LIMIT = 1 << 16  # characters of a command's output that are kept: the last ones


class Processes:
    """The commands of one namespace.

    :param ns: a descriptor of the namespace, which stays open as long as this object is used.
    :param what: how to call it in an error.
    :param mounts: returns a descriptor of the mount namespace that commands of another user namespace join, if there is
        one.
    :param on_output: told, as a command is ended, what it is and what it wrote to a pipe that nobody has read.
    """

    def __init__(
        self, ns: int, what: object, mounts: Callable[[], int | None], on_output: Callable[[str, str], object]
    ) -> None:
        self._ns = ns
        self._mounts = mounts
        self._what = what
        self._on_output = on_output
        self._started: list[subprocess.Popen[Any]] = []
        # A child process inherits the namespace of the thread that starts it, so nothing has to run after the fork. The
        # thread lives as long as this object: a command that is to die with its parent (prctl(2), PR_SET_PDEATHSIG)
        # dies with the thread that has started it.
        self._starter: ThreadPoolExecutor | None = None
        self._through: Through | None = None
        self._lock = threading.Lock()
        self._pid = posix.getpid()

    def descriptors(self) -> set[int]:
        """Return the descriptors that are open as long as this object is used."""
        return set() if self._through is None else self._through.descriptors()

    def popen(self, args: Any, **kwargs: Any) -> subprocess.Popen[Any]:
        if self._pid != posix.getpid():  # in a forked child there is no such thread, and the lock may be held for ever
            self._starter, self._lock, self._pid = None, threading.Lock(), posix.getpid()
        with self._lock:
            if self._starter is None:
                self._starter = self._make_starter()
        return self._starter.submit(self._start, args, kwargs).result()

    def _make_starter(self) -> ThreadPoolExecutor:
        inside.check_threads(self._what)
        starter = ThreadPoolExecutor(1, thread_name_prefix=f"starter of commands in {self._what}")
        if kernel.is_owned_below(self._ns):
            self._through = Through(self._ns, self._mounts)
            return starter
        try:
            starter.submit(inside.enter_in_thread, kernel.thread_id(), self._ns, self._what).result()
        except BaseException:
            starter.shutdown()
            raise
        return starter

    def _start(self, args: Any, kwargs: dict[str, Any]) -> subprocess.Popen[Any]:
        if self._through is None:
            process: subprocess.Popen[Any] = subprocess.Popen(args, **kwargs)
        else:
            command, others = self._through.command(args, kwargs)
            process = subprocess.Popen(command, **others)
            process.args = args
        self._started.append(process)
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
        if input is not None:
            if kwargs.get("stdin") is not None:
                raise ValueError("stdin and input arguments may not both be used.")
            kwargs["stdin"] = subprocess.PIPE
        if capture_output:
            if kwargs.get("stdout") is not None or kwargs.get("stderr") is not None:
                raise ValueError("stdout and stderr arguments may not be used with capture_output.")
            kwargs["stdout"] = kwargs["stderr"] = subprocess.PIPE
        with self.popen(args, **kwargs) as process:
            try:
                out, err = process.communicate(input, timeout)
            except subprocess.TimeoutExpired as expired:
                process.kill()
                # As subprocess.run: a grandchild may hold the pipe, so do not read on; what came so far is in the
                # error.
                process.wait()
                raise expired
            except BaseException:
                process.kill()
                raise
        self._started.remove(process)
        result = subprocess.CompletedProcess(process.args, process.returncode, out, err)
        if check:
            result.check_returncode()
        return result

    def close(self) -> None:
        """End what still runs, with what it has started and whatever else is in the namespace.

        All get SIGTERM, and SIGKILL if they run two seconds later.
        """
        if self._starter is None:
            return  # there were none
        started, self._started = self._started, []
        others: dict[int, int] = {}
        try:
            self._look(started, others)
            if others or any(process.returncode is None for process in started):
                self._end(started, others)
        finally:
            for process in started:
                self._take_output(process)
            self._starter.shutdown()
            if self._through is not None:
                self._through.close()

    def _end(self, started: list[subprocess.Popen[Any]], others: dict[int, int]) -> None:
        self._signal(started, others, signal.SIGTERM)
        self._signal(started, others, signal.SIGCONT)  # one that is stopped would not hear it
        deadline = kernel.monotonic() + TERM_TIMEOUT
        for process in started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0, deadline - kernel.monotonic()))
        while _running(others) and kernel.monotonic() < deadline:
            kernel.sleep(PAUSE)
        self._kill(started, others)

    def _look(self, started: Iterable[subprocess.Popen[Any]], others: dict[int, int]) -> None:
        """Add the pid and the start time of each process to end that is not our child to ``others``.

        What a process has started is found as long as that runs, wherever it is: it may have left the namespace. One
        that has left its parent is found in the namespace only.
        """
        running = {process.pid for process in started if process.poll() is None}.union(_running(others))
        if running:
            others.update(kernel.descendants_of(running))
        children = {process.pid for process in started}
        for pid in kernel.processes_in({kernel.namespace_id(self._ns)}):
            since = kernel.start_time(pid)
            if since is not None and pid not in children:
                others[pid] = since

    @staticmethod
    def _signal(started: Iterable[subprocess.Popen[Any]], others: dict[int, int], number: int) -> None:
        for process in started:
            process.send_signal(number)  # not if it has ended
        for pid in _running(others):
            with contextlib.suppress(ProcessLookupError, PermissionError):  # PermissionError: named if it does not end
                posix.kill(pid, number)

    def _kill(self, started: list[subprocess.Popen[Any]], others: dict[int, int]) -> None:
        deadline = kernel.monotonic() + KILL_TIMEOUT
        stopped: set[int] | None = None
        for turn in itertools.count():
            self._look(started, others)  # they may have started more meanwhile
            left = [process.pid for process in started if process.poll() is None] + _running(others)
            if not left:
                return
            if kernel.monotonic() > deadline:
                names = ", ".join(f"{pid} ({_command(pid)})" for pid in left)
                raise NetNSOSError(errno.EBUSY, f"{self._what}: processes were killed and do not end: {names}")
            # Stopped before they are killed, so that none starts another between the look and its end.
            are_stopped = stopped == set(others) or turn >= STOP_ROUNDS
            self._signal(started, others, signal.SIGKILL if are_stopped else signal.SIGSTOP)
            stopped = set(others)
            kernel.sleep(PAUSE)

    def _take_output(self, process: subprocess.Popen[Any]) -> None:
        for name in ("stdin", "stdout", "stderr"):
            stream = getattr(process, name)
            if stream is None or stream.closed:
                continue
            if name != "stdin":
                text = _rest_of(stream)
                if text:
                    how = "still running" if process.returncode is None else f"ended {how_it_ended(process.returncode)}"
                    title = f"{name} of `{_command_line(process.args)}` in {self._what}, {how},"
                    self._on_output(title, text[-OUTPUT_LIMIT:])
            with contextlib.suppress(BrokenPipeError):  # what the command has not read is lost with it
                stream.close()


def _running(since: dict[int, int]) -> list[int]:
    """Return those processes that have not ended, and are not others that got their pids."""
    return [pid for pid, start in since.items() if kernel.start_time(pid) == start]


def _command_line(args: Any) -> str:
    is_one = isinstance(args, (str, bytes, os.PathLike))
    line = os.fsdecode(args) if is_one else shlex.join(map(os.fsdecode, args))
    return textwrap.shorten(line, TITLE_LENGTH, placeholder=" ...")


def _command(pid: int) -> str:
    try:
        return command_of(pid)
    except (FileNotFoundError, ProcessLookupError):
        return "it has ended just now"


def _rest_of(stream: Any) -> str:
    """Return what is in a pipe and was not read, without waiting for more."""
    fd = stream.fileno()
    posix.set_blocking(fd, False)
    unread = b""
    with contextlib.suppress(BlockingIOError):  # somebody has it open for writing who was not to be found
        while len(unread) < PIPE_LIMIT and (chunk := posix.read(fd, PIPE_LIMIT)):
            unread += chunk
    # What Python has read ahead comes only by way of the stream, which is to find an end behind the rest.
    ended = posix.memfd_create("rest-of-a-pipe", posix.MFD_CLOEXEC)
    try:
        posix.write(ended, unread)
        posix.lseek(ended, 0, os.SEEK_SET)
        posix.dup2(ended, fd, inheritable=False)
    finally:
        posix.close(ended)
    try:
        rest: Any = stream.read()
    except UnicodeDecodeError as error:
        rest = error.object
    return rest.decode(errors="replace") if isinstance(rest, bytes) else rest
