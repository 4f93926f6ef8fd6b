"""One recorder that runs, as the test process sees it."""

from __future__ import annotations

import contextlib
import errno
import posix as os  # see syscalls.py
import socket
import subprocess
import sys
from pathlib import Path
from subprocess import Popen  # kept from the start, since a test may replace that of the module
from typing import Any

from .._child.launch import options
from .._child.resident.process import KILL_TIMEOUT, ends_within
from .._errors import how_it_ended, is_meant
from .._linux import fdpass, syscalls
from .program import requests

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

COMMAND = (sys.executable, "-I", "-S", str(Path(__file__).parent / "program" / "__main__.py"))


class Gone(Exception):
    """The recorder has ended."""


class Process:
    """One recorder that runs.

    It is started in the original namespace, where the calling thread has to be.

    :param timeout: how long it may take over a request, in seconds.
    :param keys: a folder that it removes at its end, or nothing.
    """

    def __init__(self, timeout: float, keys: str) -> None:
        self._number = 0
        ends: list[fdpass.Channel] = []
        self._stderr: list[int] = []
        try:
            fdpass.pair(ends)
            self._control, theirs = ends
            fdpass.limit(self._control, timeout)
            syscalls.keep(self._stderr, os.memfd_create, "recorder-stderr", os.MFD_CLOEXEC)
            self._popen = Popen(
                [COMMAND[0], *options(), *COMMAND[1:], str(theirs.fileno()), str(os.getpid()), keys],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr[0],
                pass_fds=[theirs.fileno()],
                cwd="/",  # it must keep no directory busy
                start_new_session=True,  # what ends the process group of pytest must not end it first
            )
        except BaseException:
            for end in ends:
                end.close()
            syscalls.close_all(self._stderr)
            raise
        theirs.close()
        try:
            fdpass.receive(self._control, fdpass.Received())  # READY
        except BaseException as error:
            ended = self.kill()
            if isinstance(error, (fdpass.Closed, ConnectionResetError, TimeoutError)):
                raise ChildProcessError(errno.ECHILD, f"it ended as it started, {ended}") from None
            raise

    @property
    def pid(self) -> int:
        return self._popen.pid

    def descriptors(self) -> set[int]:
        return {self._control.fileno(), *self._stderr}

    def tell(self, verb: bytes, *arguments: Any, fds: list[int] | None = None) -> int:
        """Send a request; return its number.

        :raises Gone: the recorder has ended.
        :raises BlockingIOError: it does not read.
        """
        self._number += 1
        try:
            fdpass.send(self._control, requests.request(verb, self._number, *arguments), fds or ())
        except (BrokenPipeError, ConnectionResetError):
            raise Gone from None
        return self._number

    def ask(self, received: fdpass.Received, verb: bytes, *arguments: Any) -> bytes:
        """Return the answer to a request.

        :raises Gone: the recorder has ended.
        :raises OSError: TimeoutError or BlockingIOError where it does not answer in time.
        """
        return self.answer(received, self.tell(verb, *arguments))

    def answer(self, received: fdpass.Received, number: int) -> bytes:
        """Return the answer to a request that was told."""
        while True:
            try:
                answer = fdpass.receive(self._control, received)
            except (fdpass.Closed, ConnectionResetError):
                raise Gone from None
            if int.from_bytes(answer[:8], "little") == number:
                return answer[8:]
            syscalls.close_all(received.fds)  # it is for somebody who was interrupted

    def kill(self) -> str:
        """End it at once; return how it ended, and what it wrote to stderr."""
        self._popen.kill()
        if not ends_within(self._popen, KILL_TIMEOUT):
            self._close()
            return f"and was killed, but has not ended after {KILL_TIMEOUT:g} s"
        written = os.pread(self._stderr[0], 4000, 0).decode(errors="replace").strip() if self._stderr else ""
        self._close()
        return how_it_ended(self._popen.returncode) + (f"; it wrote: {written}" if written else "")

    def _close(self) -> None:
        self._control.close()
        syscalls.close_all(self._stderr)

    def close(self, timeout: float) -> None:
        """Let it end by itself, and reap it."""
        with contextlib.suppress(OSError):  # it has ended
            self._control.shutdown(socket.SHUT_RDWR)  # also for those who have inherited a copy
        ends_within(self._popen, timeout)
        self.kill()
