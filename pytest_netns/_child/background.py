"""Functions that run in a thread of their own, since a signal handler interrupts those of the main thread."""

from __future__ import annotations

import _thread
from collections.abc import Callable
from typing import Any

from .._errors import is_meant
from .._linux import syscalls

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

PAUSE = 0.05  # seconds between two looks at a function that takes long


class Task:
    """A function that another thread calls, once.

    Not a ``concurrent.futures.Future``: if a signal handler raises while one is waited for, so may its lock.

    :param function: takes no arguments.
    """

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._returned: list[Any] = []
        self._raised: list[BaseException] = []
        self._running = _thread.allocate_lock()
        self._running.acquire()
        self._has_ended = False

    def run(self) -> None:
        """Call it, in the thread that is to."""
        try:
            self._returned.append(self._function())
        except BaseException as error:
            self._raised.append(error)
        self._has_ended = True
        self._running.release()

    def wait(self, timeout: float) -> bool:
        """Wait for its end; return whether it has ended, within a timeout in seconds."""
        deadline = syscalls.monotonic() + timeout
        while not self._has_ended:
            left = deadline - syscalls.monotonic()
            if left <= 0:
                return False
            # Whoever got the lock and was interrupted then still has it, hence the pause.
            if self._running.acquire(timeout=min(left, PAUSE)):
                self._running.release()
        return True

    def result(self) -> Any:
        """Return what the function has returned, or raise what it has raised."""
        if self._raised:
            raise self._raised[0]
        return self._returned[0]

    def forget(self) -> None:
        """Let go of what came of it: the frames of an error refer to this object, and so to the error."""
        del self._returned[:], self._raised[:]


class Background(Task):
    """A function that runs in a thread of its own.

    Not a ``threading.Thread``: if a handler raises while one is started, its thread ends before it has run anything.

    :param function: takes no arguments.
    """

    def __init__(self, function: Callable[[], Any]) -> None:
        super().__init__(function)
        self._threads: list[int] = []
        self.native_id: int | None = None
        """The number that the kernel gives its thread, once that runs; ``threading`` does not know it."""

    def run(self) -> None:
        self.native_id = _thread.get_native_id()
        super().run()

    @property
    def has_begun(self) -> bool:
        return bool(self._threads)

    def wait(self, timeout: float) -> bool:
        """Start it, if it is not started, and wait for its end; return whether it has ended.

        :param timeout: in seconds.
        :raises RuntimeError: no thread can be started.
        """
        if not self._threads:
            syscalls.keep(self._threads, _thread.start_new_thread, self.run, ())
        return super().wait(timeout)


def shielded(function: Callable[[], Any]) -> Any:
    """Call a function so that no signal handler interrupts it, only the wait for it, which then is continued.

    Where no thread can be started, it is called here.
    """
    background = Background(function)
    try:
        background.wait(syscalls.FOREVER)
    except RuntimeError:
        if not background.has_begun:
            return function()
        raise
    except BaseException:
        if background.has_begun:
            background.wait(syscalls.FOREVER)
        raise
    return background.result()
