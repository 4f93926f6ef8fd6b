"""One resident child that runs, as its parent sees it, and the channels to it."""

from __future__ import annotations

import contextlib
import functools
import posix as os  # see syscalls.py
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from subprocess import Popen  # kept from the start, since a test may replace that of the module
from typing import Any

from ..._errors import how_it_ended, is_meant
from ..._linux import entering, fdpass, syscalls
from ..launch import options
from . import requests

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

COMMAND = (sys.executable, "-I", "-S", str(Path(__file__).with_name("__main__.py")))
KILL_TIMEOUT = 5.0  # seconds for the kernel to end what was killed
FIRST_PAUSE, LAST_PAUSE = 0.0005, 0.02  # seconds between two looks at a child that ends


class Gone(Exception):
    """The child had ended before it could be asked, so that asking another one repeats nothing."""


class Process:
    """One resident child that runs, and the channels to it.

    :param timeout: how long to wait for it to read what it is told, in seconds.
    :param patience: how long it may wait for others before it does without them, in seconds.
    """

    def __init__(
        self, original_ns: int, timeout: float, record_number: int, userns: int, mounts: int, patience: float
    ) -> None:
        self._lock = threading.Lock()
        self._idle: list[fdpass.Channel] = []
        self._timeout = timeout
        self._limits: dict[fdpass.Channel, float] = {}  # of those that have another one
        self._ended = False
        self.stays = False
        """Whether it has been told to stay with namespaces when this process has ended."""
        self._original_ns = original_ns
        self._stderr: list[int] = []
        ends: list[fdpass.Channel] = []
        try:
            self._pair(ends)
            self._control, theirs = ends
            fdpass.limit(self._control, timeout)
            syscalls.keep(self._stderr, os.memfd_create, "resident-child-stderr", os.MFD_CLOEXEC)
            numbers = theirs.fileno(), os.getpid(), original_ns, record_number, userns, mounts, int(patience * 1000)
            self._popen = Popen(
                [COMMAND[0], *options(), *COMMAND[1:], *map(str, numbers)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr[0],
                pass_fds=[fd for fd in (theirs.fileno(), original_ns, userns, mounts) if fd >= 0],
                cwd="/",  # it must keep no directory busy
                start_new_session=True,  # what ends the process group of pytest must not end it first
            )
        except BaseException:
            self._drop(ends)
            syscalls.close_all(self._stderr)
            raise
        theirs.close()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def has_ended(self) -> bool:
        return self._popen.returncode is not None

    def descriptors(self) -> set[int]:
        """Return the descriptors of the channels and of what the child writes to stderr."""
        return {self._control.fileno(), *self._stderr, *(channel.fileno() for channel in list(self._idle))}

    def tell(self, verb: bytes, *arguments: Any, fds: Sequence[int] = ()) -> None:
        """Send what needs no answer.

        :raises Gone: the child has ended.
        :raises BlockingIOError: it does not read, and there is no room for more.
        """
        try:
            fdpass.send(self._control, requests.request(verb, *arguments), fds)
        except (BrokenPipeError, ConnectionResetError):
            raise Gone from None
        except OSError:
            if self._ended:  # meanwhile, by another thread
                raise Gone from None
            raise

    def ask(self, request: bytes, received: fdpass.Received, timeout: float, fds: Sequence[int] = ()) -> bytes:
        """Return the answer to a request.

        :param received: what owns the descriptors that come with it.
        :param timeout: in seconds.
        :param fds: descriptors to pass with it; the caller keeps its own.
        :raises Gone: the child ended before it read the request.
        :raises fdpass.Closed: it ended after that.
        :raises fdpass.Garbage: what it answered is no message.
        :raises TimeoutError: it did not answer in time.
        """
        ends: list[fdpass.Channel] = []
        try:
            with self._lock:
                ends += self._idle[-1:]
                del self._idle[-1:]
            if not ends:
                self._connect(ends)
            channel = ends[0]
            if (self._limits and channel in self._limits) or timeout != self._timeout:
                fdpass.limit(channel, timeout)
                self._limits[channel] = timeout
            fdpass.send(channel, request, fds)
            answer = fdpass.receive(channel, received)
            with self._lock:
                if not self._ended:  # meanwhile, by another thread
                    self._idle += ends
                    return answer
            self._drop(ends)
            return answer
        except BaseException as error:
            # Its answer may still come, and must not be taken for that of the next request.
            with self._lock:
                self._idle = [channel for channel in self._idle if channel not in ends]
            self._drop(ends)
            if isinstance(error, (BrokenPipeError, ConnectionResetError)):
                raise Gone from None
            raise

    def _drop(self, ends: list[fdpass.Channel]) -> None:
        for end in ends:
            self._limits.pop(end, None)
            end.close()

    def _connect(self, ends: list[fdpass.Channel]) -> None:
        """Add a new channel to a list, which owns it."""
        self._pair(ends)
        fdpass.limit(ends[0], self._timeout)
        self.tell(requests.CONNECT, fds=[ends[1].fileno()])
        ends[1].close()
        del ends[1]

    def _pair(self, ends: list[fdpass.Channel]) -> None:
        """Add a pair of sockets of the original namespace to a list, also where the calling thread is in another.

        A socket belongs to the namespace of the thread that makes it, and one that is kept would keep the namespace.
        """
        try:
            is_inside = syscalls.namespace_id("/proc/thread-self/ns/net") != syscalls.namespace_id(self._original_ns)
        except OSError:  # a test has left its root directory, for example
            is_inside = True
        if not is_inside:
            fdpass.pair(ends)
        else:
            make = functools.partial(fdpass.pair, ends)
            entering.call(self._copy_original, "the namespace of the test process", make)

    def _copy_original(self, fds: list[int]) -> None:
        syscalls.keep(fds, os.dup, self._original_ns)

    def _close_channels(self) -> None:
        with self._lock:
            self._ended = True
            idle, self._idle = self._idle, []
        self._drop(idle)
        self._control.close()

    def kill(self, timeout: float = KILL_TIMEOUT) -> str:
        """End the child at once; return how it ended and what it wrote to stderr.

        :param timeout: how long to wait for its end, in seconds: a process that waits for a disk or a mount may take
            its time. Then it is left to be reaped later.
        """
        self._popen.kill()
        if not ends_within(self._popen, timeout):
            self._close_channels()
            return f"and was killed, but has not ended after {timeout:g} s"
        # Where SIGCHLD is ignored nobody is told the exit status (wait(2)), and subprocess then says 0.
        is_told = signal.getsignal(signal.SIGCHLD) != signal.SIG_IGN
        how = how_it_ended(self._popen.returncode if is_told else None)
        self._close_channels()
        with self._lock:  # other threads may have met its end, too
            written = os.pread(self._stderr[0], 4000, 0) if self._stderr else b""
            syscalls.close_all(self._stderr)
        return f"{how}; it wrote: {written.decode(errors='replace').strip()}" if written else how

    def close(self, timeout: float) -> None:
        """Let the child end by itself, and reap it; or leave it alone, if it stays with namespaces that are kept."""
        with contextlib.suppress(OSError):  # it has ended
            self._control.shutdown(socket.SHUT_RDWR)  # also for those who have inherited a copy
        self._close_channels()
        if self.stays:
            syscalls.close_all(self._stderr)
            self._popen.returncode = 0  # or it would warn that it still runs
            return
        ends_within(self._popen, timeout)
        self.kill()


def ends_within(child: Popen[Any], timeout: float) -> bool:
    """Wait for the end of a child, and reap it; return whether it has ended.

    By our own clock: that of ``Popen.wait`` is one that a test may stop.

    :param timeout: in seconds.
    """
    deadline = syscalls.monotonic() + timeout
    pause = FIRST_PAUSE
    while child.poll() is None:
        left = deadline - syscalls.monotonic()
        if left <= 0:
            return False
        syscalls.sleep(min(pause, left))
        pause = min(2 * pause, LAST_PAUSE)
    return True
