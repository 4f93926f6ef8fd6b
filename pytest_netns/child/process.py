"""One resident child that runs, as its parent sees it, and the channels to it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from .. import fdpass, inside, kernel
from ..errors import how_it_ended
from . import program

__tracebackhide__ = True  # a failed test's report ends in the test; --full-trace shows the rest

COMMAND = (sys.executable, "-I", "-S", str(Path(__file__).with_name("__main__.py")))


class Gone(Exception):
    """The child had ended before it could be asked, so that asking another one repeats nothing."""


class Process:
    """One resident child that runs, and the channels to it."""

    def __init__(self, home: int, record_number: int, userns: int, mounts: int) -> None:
        self._stderr = os.memfd_create("resident-child-stderr", os.MFD_CLOEXEC)
        self._idle: list[tuple[socket.socket, float]] = []
        self._ended = False
        self._home = home
        self._control, theirs = self._pair()
        with theirs:
            try:
                self._popen = subprocess.Popen(
                    [*COMMAND, *map(str, (theirs.fileno(), os.getpid(), home, record_number, userns, mounts))],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=self._stderr,
                    pass_fds=[fd for fd in (theirs.fileno(), home, userns, mounts) if fd >= 0],
                    cwd="/",  # it must keep no directory busy
                    start_new_session=True,  # what ends the process group of pytest must not end it first
                )
            except BaseException:
                self._close_descriptors()
                raise

    @property
    def pid(self) -> int:
        return self._popen.pid

    def descriptors(self) -> set[int]:
        """Return the descriptors of the channels and of what the child writes to stderr."""
        return {self._control.fileno(), self._stderr, *(channel.fileno() for channel, _ in list(self._idle))}

    def tell(self, verb: bytes, *arguments: Any, fd: int | None = None) -> None:
        """Send what needs no answer.

        :raises Gone: the child has ended.
        """
        try:
            fdpass.send(self._control, program.request(verb, *arguments), () if fd is None else (fd,))
        except (BrokenPipeError, ConnectionResetError):
            raise Gone from None
        except OSError:
            if self._ended:  # meanwhile, by another thread
                raise Gone from None
            raise

    def ask(self, request: bytes, timeout: float) -> tuple[bytes, list[int]]:
        """Return the answer to a request.

        :raises Gone: the child ended before it read the request.
        :raises fdpass.Closed: it ended after that.
        :raises fdpass.Garbage: what it answered is no message.
        :raises TimeoutError: it did not answer in time.
        """
        channel, limit = self._idle.pop() if self._idle else (self._connect(), 0.0)
        try:
            if limit != timeout:
                fdpass.limit(channel, timeout)
            fdpass.send(channel, request)
            answer = fdpass.receive(channel)
        except (BrokenPipeError, ConnectionResetError):
            channel.close()
            raise Gone from None
        except BaseException:
            channel.close()  # its answer may still come, and must not be taken for that of the next request
            raise
        self._idle.append((channel, timeout))
        if self._ended:  # meanwhile, by another thread
            self._close_channels()
        return answer

    def _connect(self) -> socket.socket:
        ours, theirs = self._pair()
        with theirs:
            try:
                self.tell(program.CONNECT, fd=theirs.fileno())
            except BaseException:
                ours.close()
                raise
        return ours

    def _pair(self) -> tuple[socket.socket, socket.socket]:
        """Return a pair of sockets that are at home, also where the calling thread is not.

        A socket belongs to the namespace of the thread that makes it, and one that is kept would keep the namespace.
        """
        if kernel.namespace_id("/proc/thread-self/ns/net") == kernel.namespace_id(self._home):
            return fdpass.pair()
        return inside.call(lambda: os.dup(self._home), "the namespace of the test process", fdpass.pair)

    def _close_channels(self) -> None:
        self._ended = True
        while self._idle:
            self._idle.pop()[0].close()
        self._control.close()

    def _close_descriptors(self) -> None:
        self._close_channels()
        stderr, self._stderr = self._stderr, -1
        if stderr >= 0:
            os.close(stderr)

    def kill(self) -> str:
        """End the child at once; return how it ended and what it wrote to stderr."""
        self._popen.kill()
        how = how_it_ended(self._popen.wait())
        written = b"" if self._stderr < 0 else os.pread(self._stderr, 4000, 0)
        self._close_descriptors()
        return f"{how}; it wrote: {written.decode(errors='replace').strip()}" if written else how

    def close(self, timeout: float) -> None:
        """Let the child end by itself, and reap it."""
        with contextlib.suppress(OSError):  # it has ended
            self._control.shutdown(socket.SHUT_RDWR)  # also for those who have inherited a copy
        self._close_channels()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._popen.wait(timeout)
        self.kill()
