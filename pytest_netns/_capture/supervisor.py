"""The recorder as it is kept running: started when it is first needed, and replaced when it has ended."""

from __future__ import annotations

import contextlib
import errno
import posix as os  # see syscalls.py
import threading
from collections.abc import Callable, Iterator
from typing import Any

from .. import _causes
from .._child.background import Background
from .._child.reply import checked
from .._errors import ChildDiedError, NetNSError, NetNSTimeoutError, from_errno, is_meant
from .._linux import fdpass, syscalls
from .process import Gone, Process

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

WHAT = "the recorder"


class Supervisor:
    """Keeps a recorder running as long as it is asked, and asks it.

    :param original_ns: a descriptor of the namespace in which it runs; the caller keeps it open.
    :param timeout: how long it may take over a request, in seconds.
    :param on_start: told of each one that has started.
    :param on_loss: told that one has ended, with all that it had recorded.
    """

    def __init__(
        self, original_ns: int, timeout: float, on_start: Callable[[Process], object], on_loss: Callable[[], object]
    ) -> None:
        self._original_ns = original_ns
        self._timeout = timeout
        self.on_start = on_start
        self.on_loss = on_loss
        self.pid: int = os.getpid()
        """The process that it belongs to: not a forked child."""
        self._lock = threading.RLock()
        self._process: Process | None = None
        self._start: Background | None = None
        self.keys_folder: str = ""
        """A folder that the recorder removes at its end, or nothing."""

    @property
    def runs(self) -> bool:
        return self._process is not None

    def pids(self) -> set[int]:
        process = self._process
        return set() if process is None else {process.pid}

    def descriptors(self) -> set[int]:
        process = self._process
        return set() if process is None else process.descriptors()

    def start(self) -> None:
        """Have it run."""
        with self._lock:
            self._running()

    def wait(self, number: int) -> None:
        """Wait for the answer to a request that was told.

        :raises NetNSError: there is none.
        """
        with fdpass.Received() as received, self._lock, self._replaced_if_it_fails():
            self._running().answer(received, number)

    def tell(self, verb: bytes, *arguments: Any, fds: list[int] | None = None) -> int:
        """Send a request; return its number.

        :raises NetNSError: the recorder has ended, or does not read.
        """
        with self._lock, self._replaced_if_it_fails():
            return self._running().tell(verb, *arguments, fds=fds)

    def ask(self, verb: bytes, *arguments: Any, received: fdpass.Received | None = None) -> bytes:
        """Return the answer to a request.

        :param received: what owns its descriptors; without it, they are closed.
        :raises NetNSError: there is none, or it says that something could not be done.
        """
        if received is None:
            with fdpass.Received() as received:
                return self.ask(verb, *arguments, received=received)
        with self._lock, self._replaced_if_it_fails():
            answer = self._running().ask(received, verb, *arguments)
        return checked(answer, WHAT)

    @contextlib.contextmanager
    def _replaced_if_it_fails(self) -> Iterator[None]:
        try:
            yield
        except Gone:
            raise ChildDiedError(
                errno.ECHILD, f"{WHAT} ended, {self._discard()}; what it had recorded until then is lost"
            ) from None
        except (TimeoutError, BlockingIOError):
            self._discard()
            raise NetNSTimeoutError(
                errno.ETIMEDOUT,
                f"{WHAT} did not answer within {self._timeout:g} s and was killed; what it had recorded is lost. "
                "If the machine is just slow, raise --netns-child-timeout",
            ) from None
        except fdpass.Garbage as garbage:
            raise ChildDiedError(errno.EPROTO, f"{WHAT} answered garbage: {garbage}; {self._discard()}") from None

    def _discard(self) -> str:
        process, self._process = self._process, None
        self.on_loss()
        return "" if process is None else process.kill()

    def _running(self) -> Process:
        if os.getpid() != self.pid:
            raise NetNSError(f"{WHAT} serves process {self.pid}, and this is a forked child of it")
        if self._process is not None:
            return self._process
        if self._start is None:  # else somebody was interrupted as he waited for it
            self._start = Background(self._make)
        try:
            if not self._start.wait(self._timeout):
                raise NetNSTimeoutError(errno.ETIMEDOUT, f"{WHAT} did not start within {self._timeout:g} s")
            self._process, self._start = self._start.result(), None
        except NetNSTimeoutError:
            raise
        except OSError as error:
            self._start = None
            raise from_errno(error.errno or 0, f"cannot start {WHAT}", step=_causes.STARTING) from error
        assert self._process is not None
        self.on_start(self._process)
        return self._process

    def _make(self) -> Process:
        # In a thread, which ends with the start: it was born where the one was that asks first.
        if syscalls.namespace_id("/proc/thread-self/ns/net") != syscalls.namespace_id(self._original_ns):
            syscalls.setns(self._original_ns)
        return Process(self._timeout, self.keys_folder)

    def close(self) -> None:
        """End the recorder, if one runs; in a forked child of the test process, leave it to the parent."""
        if os.getpid() != self.pid:
            return
        with self._lock:
            if self._start is not None:
                with contextlib.suppress(OSError):  # there is none to end
                    self._process = self._start.result() if self._start.wait(self._timeout) else None
                self._start = None
            process, self._process = self._process, None
            if process is not None:
                process.close(self._timeout)
