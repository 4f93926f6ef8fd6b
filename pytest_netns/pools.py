"""The threads of pools that outlive a test, which is inside a namespace: they go where the tests go.

A thread that a test has made a pool start is born inside. Such pools are the one of asyncio's loops, where the loop is
that of a wider fixture, and trio's cache of threads. Left there it would keep the namespace, and would do the work of
another test in the wrong one.
"""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from . import kernel
from .threads import is_idle_in_a_pool, is_in_a_pool, threads_in

PATIENCE = 1.0  # seconds in which a thread is done with its work, and takes its turn; it takes a fraction of one
PAUSE = 0.001  # seconds between two looks


class Pools:
    """Knows the threads of pools that were born inside a namespace."""

    def __init__(self) -> None:
        self._born_inside: weakref.WeakSet[threading.Thread] = weakref.WeakSet()

    def follow(self, ns: int) -> None:
        """Move them into a namespace."""
        if self._born_inside:
            _move({thread for thread in self._born_inside if thread.is_alive()}, ns)

    def leave(self, identity: tuple[int, int], home: int) -> None:
        """Move those that are in a namespace home."""
        if threading.active_count() > 1:
            inside = {thread for thread in threads_in(identity) if is_in_a_pool(thread)}
            self._born_inside.update(inside)
            _move(inside, home)


def _move(threads: set[threading.Thread], ns: int) -> None:
    """Move threads of pools into a namespace, as far as they have nothing to do; of the others, the guard tells."""
    deadline = kernel.monotonic() + PATIENCE
    while not all(map(is_idle_in_a_pool, threads)) and kernel.monotonic() < deadline:
        kernel.sleep(PAUSE)
    for idle, submit in (*_executors(threads), *_trio(threads)):
        move = _Move(threads, len(idle), ns)
        for _ in idle:
            submit(move)
        move.finish()


class _Move:
    """A piece of work for each idle thread of a pool, that waits until all are at it so that none takes two."""

    def __init__(self, threads: Iterable[threading.Thread], idle: int, ns: int) -> None:
        self._threads = threads
        self._ns = ns
        self._together = threading.Barrier(idle + 1, timeout=PATIENCE)

    def __call__(self) -> None:
        if self._meet():
            if threading.current_thread() in self._threads:
                kernel.setns(self._ns)
            self._meet()

    def _meet(self) -> bool:
        try:
            self._together.wait()
        except threading.BrokenBarrierError:  # one had something to do after all: nothing is moved
            return False
        return True

    def finish(self) -> None:
        """Wait until it is done."""
        if self._meet():
            self._meet()


Pool = tuple[set[threading.Thread], Callable[[_Move], Any]]  # its idle threads, and how to give one of them work


def _executors(threads: Iterable[threading.Thread]) -> Iterator[Pool]:
    """Yield the pools of concurrent.futures that some of these threads belong to."""
    # Found by its threads' private arguments, since nobody else knows the one that a loop has made.
    executors = {args[0]() for thread in threads if (args := getattr(thread, "_args", None)) and callable(args[0])}
    for executor in executors:
        if isinstance(executor, ThreadPoolExecutor):
            idle = {thread for thread in executor._threads if is_idle_in_a_pool(thread)}
            yield idle, executor.submit


def _trio(threads: Iterable[threading.Thread]) -> Iterator[Pool]:
    """Yield trio's cache of threads, if some of these belong to it."""
    trio = sys.modules.get("trio")
    idle = {thread for thread in threading.enumerate() if is_idle_in_a_pool(thread) and _is_of_trio(thread)}
    if trio is not None and not idle.isdisjoint(threads):
        yield idle, lambda move: trio.lowlevel.start_thread_soon(move, lambda outcome: outcome.unwrap())


def _is_of_trio(thread: threading.Thread) -> bool:
    target = getattr(thread, "_target", None)
    return getattr(target, "__module__", "").startswith("trio.")
