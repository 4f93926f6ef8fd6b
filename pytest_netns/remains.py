"""The namespaces that were closed, until the kernel has taken them down or it is known who keeps them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass

from . import kernel
from .holders import holders_of

__tracebackhide__ = True  # a failed test's report ends in the test; --full-trace shows the rest

GRACE = 1.0  # seconds that the kernel may keep by itself what it has closed, such as a socket until no CPU reads it
EVERY = 1.0  # seconds between two questions
PAUSE = 0.005  # seconds between two questions at the end
LIMIT = 30.0  # seconds after which the kernel is taken not to come to it any more
UNEXPLAINED = (
    "is still there, and nothing that this user can see keeps it; so it may be a TCP connection that still sends, "
    "a descriptor under way between processes, mapped memory of a packet socket, or another user's process"
)


@dataclass(frozen=True)
class Closed:
    """A namespace that was closed: what it is called, what identifies it, and when that was."""

    what: str
    identity: tuple[int, int]
    at: float


class Remains:
    """What was closed and may not be gone.

    The kernel takes namespaces down on its own time, one batch after the other, and no test waits for it. But it does
    so in the order in which they were let go of. If one that was closed later is gone, something keeps the other.

    :param still_there: returns the keys of those that are not gone.
    :param let_one_go: makes a namespace, closes it, and says so by :meth:`closed`.
    """

    def __init__(self, still_there: Callable[[], set[int]], let_one_go: Callable[[], object]) -> None:
        self._still_there = still_there
        self._let_one_go = let_one_go
        self._closed: dict[int, Closed] = {}
        self._unexplained: dict[int, Closed] = {}
        self._next = 0.0
        self._batch: list[int] = []
        self._lock = threading.Lock()  # a thread may close a namespace while the end of a test is looked at

    def closed(self, key: int, what: str, identity: tuple[int, int]) -> None:
        """Take in a namespace that was closed."""
        test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]  # "<nodeid> (<phase>)"
        text = f"{what}, closed in {test}," if test else f"{what}, closed,"
        with self._lock:
            self._closed[key] = Closed(text, identity, kernel.monotonic())
            self._batch.append(key)

    def end_of_test(self, *, is_judged: bool) -> None:
        """Take those that were closed since the last call for those of a test.

        :param is_judged: whether they are to be looked at; not those of a test that has an error already.
        """
        with self._lock:
            if not is_judged:
                for key in self._batch:
                    self._closed.pop(key, None)
            self._batch = []

    def kept(self) -> list[str]:
        """Return a text for each that something keeps, once; it asks at most once a second."""
        now = kernel.monotonic()
        if now < self._next or not self._closed:
            return []
        self._next = now + EVERY
        return self._look()

    def kept_at_the_end(self) -> tuple[list[str], list[str]]:
        """Wait until all are gone or it is known that something keeps them.

        :return: a text for each that something keeps, and for each that nothing which can be seen keeps.
        """
        with self._lock:
            self._closed.update(self._unexplained)
        found = self._look_until(GRACE)
        if self._closed:
            self._let_one_go()  # it goes after the others, if they go
            found += self._look_until(LIMIT)
        return found, [
            f"{closed.what} {UNEXPLAINED}" for closed in (*self._closed.values(), *self._unexplained.values())
        ]

    def _look_until(self, seconds: float) -> list[str]:
        found = self._look()
        deadline = kernel.monotonic() + seconds
        while self._closed and kernel.monotonic() < deadline:
            kernel.sleep(PAUSE)
            found += self._look()
        return found

    def _look(self) -> list[str]:
        with self._lock:
            looked_at = dict(self._closed)  # not what is closed after the question
        there = self._still_there()
        newest = max((closed.at for key, closed in looked_at.items() if key not in there), default=0.0)
        overdue = {key: closed for key, closed in looked_at.items() if key in there and closed.at + GRACE < newest}
        with self._lock:
            for key in looked_at:
                if key not in there or key in overdue:
                    self._closed.pop(key, None)
        found = []
        for key, closed in overdue.items():
            holders = holders_of(closed.identity)
            if holders:
                found.append("\n  ".join([f"{closed.what} is still there:", *holders]))
            else:
                self._unexplained[key] = closed
        return found
