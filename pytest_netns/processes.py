"""The commands that run in a namespace, ended with it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from . import inside, kernel
from .errors import NetNSOSError

__tracebackhide__ = True  # a failed test's report ends in the test; --full-trace shows the rest

TERM_TIMEOUT = 2.0  # seconds between SIGTERM and SIGKILL
KILL_TIMEOUT = 5.0  # seconds for the kernel to end what was killed
PAUSE = 0.005  # seconds between two looks at processes that are not our children


class Processes:
    """The commands of one namespace.

    :param ns: a descriptor of the namespace, which stays open as long as this object is used.
    :param what: how to call it in an error.
    """

    def __init__(self, ns: int, what: object) -> None:
        self._ns = ns
        self._what = what
        self._started: list[subprocess.Popen[Any]] = []
        # A child process inherits the namespace of the thread that starts it, so nothing has to run after the fork. The
        # thread lives as long as this object: a command that is to die with its parent (prctl(2), PR_SET_PDEATHSIG)
        # dies with the thread that has started it.
        self._starter: ThreadPoolExecutor | None = None
        self._starter_pid = 0
        self._lock = threading.Lock()

    def popen(self, args: Any, **kwargs: Any) -> subprocess.Popen[Any]:
        with self._lock:
            if self._starter is None or self._starter_pid != os.getpid():  # in a forked child, there is no thread of it
                self._starter, self._starter_pid = self._make_starter(), os.getpid()
        return self._starter.submit(self._start, args, kwargs).result()

    def _make_starter(self) -> ThreadPoolExecutor:
        starter = ThreadPoolExecutor(1, thread_name_prefix=f"starter of commands in {self._what}")
        try:
            starter.submit(inside.enter, self._ns, self._what).result()
        except BaseException:
            starter.shutdown()
            raise
        return starter

    def _start(self, args: Any, kwargs: dict[str, Any]) -> subprocess.Popen[Any]:
        process: subprocess.Popen[Any] = subprocess.Popen(args, **kwargs)
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
        """End what still runs: SIGTERM, a bounded wait, SIGKILL; then whatever else is in the namespace."""
        if self._starter is None:
            return  # there were none
        started, self._started = self._started, []
        for process in started:
            if process.poll() is None:
                process.terminate()
        deadline = time.monotonic() + TERM_TIMEOUT
        for process in started:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0, deadline - time.monotonic()))
            if process.poll() is None:
                process.kill()
        for process in started:
            process.wait(KILL_TIMEOUT)
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    with contextlib.suppress(BrokenPipeError):  # what the command has not read is lost with it
                        stream.close()
        self._end_the_rest()
        self._starter.shutdown()

    def _end_the_rest(self) -> None:
        deadline = time.monotonic() + KILL_TIMEOUT
        inhabited = {kernel.namespace_id(self._ns)}
        while pids := list(kernel.processes_in(inhabited)):
            if time.monotonic() > deadline:
                raise NetNSOSError(16, f"{self._what}: processes {pids} were killed and do not end")
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(PAUSE)
