"""A child that serves one call, as its parent sees it, and its end."""

from __future__ import annotations

import contextlib
import errno
import posix as os  # see syscalls.py
import select
import signal
from abc import ABC, abstractmethod

from .._errors import how_it_ended, is_meant
from .._handle import Handle
from .._linux import fdpass, syscalls

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

KILL_TIMEOUT = 5.0  # seconds for the kernel to end what was killed
FIRST_PAUSE, LAST_PAUSE = 0.0005, 0.02  # seconds between two looks at a child, where no descriptor tells of its end


class Child(ABC):
    """A child for one call: it is there before its process is, so that this has an owner from its start on.

    :param handle: the namespace that it is for.
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self.ends: list[fdpass.Channel] = []
        """Our end of the channel, and the child's."""
        self._pidfds: list[int] = []
        self._how: str | None = None

    @property
    @abstractmethod
    def pid(self) -> int | None:
        """Its pid, or ``None`` where it is not started."""

    @abstractmethod
    def _has_ended(self) -> bool:
        """Reap it if it has ended; return whether it has, or there is nothing to reap."""

    @abstractmethod
    def _code(self) -> int | None:
        """Return its exit code, as of ``subprocess``, or ``None`` where somebody else has reaped it."""

    @property
    def ending(self) -> int | None:
        """A descriptor that becomes readable when the child ends, where there is one."""
        return self._pidfds[0] if self._pidfds else None

    def watch(self) -> None:
        """Open what tells of its end."""
        assert self.pid is not None
        try:
            syscalls.keep(self._pidfds, os.pidfd_open, self.pid)
        except ProcessLookupError:
            return  # it has ended, and somebody else has reaped it
        except OSError as error:
            if error.errno not in (errno.ENOSYS, errno.EPERM):  # as of syscalls.open_pidfd
                raise

    def end(self) -> str:
        """Kill the child unless it has ended, reap it, and return how it ended."""
        if self._how is None:
            self._kill()
            self._how = (
                how_it_ended(self._code()) if self._wait() else f"and, killed, did not within {KILL_TIMEOUT:g} s"
            )
        return self._how

    def _kill(self) -> None:
        pid = self.pid
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):  # it has ended
            if self._pidfds:
                signal.pidfd_send_signal(self._pidfds[0], signal.SIGKILL)
            elif not self._has_ended():
                os.kill(pid, signal.SIGKILL)

    def _wait(self) -> bool:
        """Wait for its end; it was killed, and takes its time only where it waits for a disk or a mount."""
        deadline = syscalls.monotonic() + KILL_TIMEOUT
        pause = FIRST_PAUSE
        while not self._has_ended():
            if syscalls.monotonic() >= deadline:
                return False
            if self._pidfds and not self._is_seen_to_end():
                select.select(self._pidfds, (), (), deadline - syscalls.monotonic())
            else:
                syscalls.sleep(pause)
                pause = min(2 * pause, LAST_PAUSE)
        return True

    def _is_seen_to_end(self) -> bool:
        return bool(self._pidfds and select.select(self._pidfds, (), (), 0)[0])

    def close(self) -> None:
        """End it, and close what was open for it."""
        try:
            self.end()
        finally:
            for end in self.ends:
                end.close()
            syscalls.close_all(self._pidfds)
