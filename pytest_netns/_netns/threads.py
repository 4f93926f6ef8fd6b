"""Threads that run inside a namespace, and the end of all that do or that hold something of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from .._errors import NetNSError, NetNSLeakError, from_errno, is_meant
from .._handle import Handle
from .._leaks.stacks import is_idle_in_a_pool, namespace_of, stack_of
from .._linux import entering, syscalls

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

PAUSE = 0.05  # seconds between two looks at a thread that does not end


class InsideThread(threading.Thread):
    """A ``threading.Thread`` that enters a namespace before it runs, and ends there."""

    def __init__(self, ns: entering.Copy, what: object, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._ns = ns
        self._what = what
        self.may_run = False
        """Whether it runs, has run or is just being started; set before it is known whether the namespace is open."""
        self.settled = threading.Event()
        """Set where it has been started, or could not be."""

    def start(self) -> None:
        self._starter = syscalls.thread_id()
        self._fds: list[int] = []
        self.may_run = True
        try:
            try:
                self._ns(self._fds)  # the namespace may be closed before the thread comes to enter it
            except NetNSError:
                raise
            except OSError as error:
                raise from_errno(error.errno or 0, f"{self._what}: cannot start a thread in it") from error
            with entering.starting(self._what):
                super().start()
        except BaseException:
            syscalls.close_all(self._fds)
            raise
        finally:
            self.settled.set()

    def run(self) -> None:
        try:
            entering.enter_in_thread(self._starter, self._fds[0], self._what)
        finally:
            syscalls.close_all(self._fds)
        super().run()


class InsideExecutor(ThreadPoolExecutor):
    """A ``ThreadPoolExecutor`` whose threads enter a namespace before they work, and end there."""

    def __init__(
        self,
        ns: entering.Copy,
        what: object,
        max_workers: int | None,
        thread_name_prefix: str,
        initializer: Callable[..., object] | None,
        initargs: tuple[Any, ...],
    ) -> None:
        starter = syscalls.thread_id()

        def begin() -> None:
            fds: list[int] = []
            try:
                ns(fds)
                entering.enter_in_thread(starter, fds[0], what)
            finally:
                syscalls.close_all(fds)
            if initializer is not None:
                initializer(*initargs)

        super().__init__(max_workers, thread_name_prefix, begin)

    def threads(self) -> set[threading.Thread]:
        return set(self._threads)


class Threads:
    """The threads of one namespace: those that it has started, and others that are in it or hold something of it.

    :param ns: adds a new descriptor of the namespace to a list, or raises where it is closed.
    :param handle: the namespace.
    :param timeout: how long a thread may take to end after the namespace is closed, in seconds; with ``None`` it need
        not end, and nothing is said.
    """

    def __init__(self, ns: entering.Copy, handle: Handle, timeout: float | None) -> None:
        self._ns = ns
        self._what = handle
        self._timeout = timeout
        self._threads: list[InsideThread] = []
        self._executors: list[InsideExecutor] = []
        self._inside: list[entering.Entered] = []
        self.was_entered = False

    def enter(self) -> entering.Entered:
        self.was_entered = True
        return entering.Entered(self._ns, self._what, self._inside)

    def leave(self) -> None:
        """Have the calling thread leave the namespace, where something has kept it from doing so."""
        for entered in reversed(self._inside[:]):
            if entered.thread == threading.get_ident():
                entered.leave()

    def thread(self, **kwargs: Any) -> InsideThread:
        thread = InsideThread(self._ns, self._what, **kwargs)
        self._threads.append(thread)
        return thread

    def executor(self, *args: Any) -> InsideExecutor:
        executor = InsideExecutor(self._ns, self._what, *args)
        self._executors.append(executor)
        return executor

    def cancel(self) -> None:
        """Have pools begin nothing any more."""
        for executor in self._executors:
            executor.shutdown(wait=False, cancel_futures=True)

    def wait(self, holders: Iterable[int]) -> list[threading.Thread]:
        """Wait for the end of every thread that is to end with the namespace; return those that do not.

        :param holders: further ones, by their identifiers.
        """
        self.cancel()
        threads: set[threading.Thread] = {thread for thread in self._threads if thread.may_run}
        for executor in self._executors:
            threads |= executor.threads()
        by_ident = {thread.ident: thread for thread in threading.enumerate()}
        threads |= {by_ident[ident] for ident in holders if ident in by_ident}
        if self.was_entered or threads:
            threads |= threads_in(self._what.identity)
        threads.discard(threading.current_thread())
        if self._timeout is None or not threads:
            return []
        deadline = syscalls.monotonic() + self._timeout
        with self._what.measured("waiting for threads to end"):
            return [thread for thread in threads if not self._ends(thread, deadline)]

    def _ends(self, thread: threading.Thread, deadline: float) -> bool:
        """Wait for the end of a thread, or for the time when it has nothing to do and waits in a pool of others."""
        if isinstance(thread, InsideThread):
            thread.settled.wait(max(0, deadline - syscalls.monotonic()))
        while thread.is_alive():
            if is_idle_in_a_pool(thread) and not self._is_inside(thread):
                return True  # nothing can give it a turn; what it has used is closed from here
            if syscalls.monotonic() >= deadline:
                return False
            thread.join(min(PAUSE, max(0, deadline - syscalls.monotonic())))
        return True

    def _is_inside(self, thread: threading.Thread) -> bool:
        return namespace_of(thread) == self._what.identity

    def blame(self, alive: list[threading.Thread], holders: Iterable[int]) -> NetNSLeakError:
        """Return the error that names the threads which did not end, where each is and what it holds."""
        holding = set(holders)
        lines = []
        for thread in alive:
            held = ["an open pyroute2 object"] if thread.ident in holding else []
            if self._is_inside(thread):
                held.append("the namespace, being inside")
            what_held = f", and holds {' and '.join(held)}" if held else ""
            lines.append(
                f"thread {thread.name!r} still runs {self._timeout:g} s after the namespace was closed{what_held}; "
                f"it is at:\n{stack_of(thread)}"
            )
        return NetNSLeakError(f"{self._what}: " + "\n".join(lines) + "\nlet it end, and join it, before the test ends")


def threads_in(identity: tuple[int, int]) -> set[threading.Thread]:
    """Return the threads of this process that are inside a namespace."""
    return {thread for thread in threading.enumerate() if namespace_of(thread) == identity}
