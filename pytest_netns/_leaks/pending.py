"""The namespaces that were closed, until nothing refers to them any more or it is known who keeps them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from os import environ

from .._errors import is_meant
from .._linux import syscalls
from .references import holders_of

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

GRACE = 1.0  # seconds that the kernel may keep by itself what it has closed, such as a socket until no CPU reads it
EVERY = 1.0  # seconds between two questions
PAUSE = 0.005  # seconds between two questions at the end
LIMIT = 30.0  # seconds after which the kernel is not waited for any more, even if it still lets some go
MANY = 1000  # namespaces to remember before the first question, where no test asks it
UNEXPLAINED = (
    "is still there, though nothing that this user can see refers to it; what does may be a TCP connection that still "
    "sends, a descriptor in transit between processes, mapped memory of a packet socket, or another user's process"
)


@dataclass(frozen=True)
class Closed:
    """A namespace that was closed: what it is called, what identifies it, and when that was."""

    what: str
    identity: tuple[int, int]
    at: float


class Remains:
    """What was closed and may be kept by something.

    Each reference to a namespace ends with what holds it, some of the kernel's own a moment later. So one to which
    something still refers after that moment is kept. When the kernel takes namespaces down, one batch after the other
    and each from the newest to the oldest, says nothing: thousands take it seconds.

    :param still_there: returns those of some keys whose namespaces something refers to.
    """

    def __init__(self, still_there: Callable[[Iterable[int]], set[int]]) -> None:
        self._still_there = still_there
        self._closed: dict[int, Closed] = {}
        self._unexplained: dict[int, Closed] = {}
        self._next = 0.0
        self._batch: list[int] = []
        self._many = MANY
        self._lock = threading.RLock()  # a thread may close a namespace while the end of a test is looked at

    def closed(self, key: int, what: str, identity: tuple[int, int]) -> None:
        """Take in a namespace that was closed."""
        test = environ.get("PYTEST_CURRENT_TEST", "").rpartition(" ")[0]  # "<nodeid> (<phase>)"
        text = f"{what}, closed in {test}," if test else f"{what}, closed,"
        with self._lock:
            self._closed[key] = Closed(text, identity, syscalls.monotonic())
            self._batch.append(key)
            if len(self._closed) <= self._many:
                return
            # With --netns-leaks=ignore, nobody asks.
            self._drop_those_gone()
            self._batch = [key for key in self._batch if key in self._closed]
            self._many = max(MANY, 2 * len(self._closed))

    def end_of_test(self, *, is_leak_checked: bool) -> None:
        """Take those that were closed since the last call for those of a test.

        :param is_leak_checked: whether they are to be looked at; not those of a test that has an error already.
        """
        with self._lock:
            if not is_leak_checked:
                for key in self._batch:
                    self._closed.pop(key, None)
            self._batch = []

    def kept(self) -> list[str]:
        """Return a text for each that something keeps, once; it asks at most once a second."""
        now = syscalls.monotonic()
        if now < self._next or not self._closed:
            return []
        self._next = now + EVERY
        self._drop_those_gone()
        with self._lock:
            overdue = [key for key, closed in self._closed.items() if closed.at + GRACE <= now]
        return self._name(overdue)

    def kept_at_the_end(self) -> tuple[list[str], list[str]]:
        """Wait until all are gone, or none of the others has gone for a moment.

        :return: a text for each that something keeps, and for each that nothing which can be seen keeps.
        """
        with self._lock:
            self._closed, self._unexplained = {**self._unexplained, **self._closed}, {}
        self._drop_those_gone()
        begin = last = syscalls.monotonic()
        while self._closed and (now := syscalls.monotonic()) < min(last + GRACE, begin + LIMIT):
            syscalls.sleep(PAUSE)
            if self._drop_those_gone():
                last = now
        return self._name(list(self._closed)), [f"{closed.what} {UNEXPLAINED}" for closed in self._unexplained.values()]

    def _drop_those_gone(self) -> bool:
        """Forget those that nothing refers to any more; return whether there were any."""
        with self._lock:
            asked = list(self._closed)
        there = self._still_there(asked) if asked else set()
        with self._lock:
            for key in asked:
                if key not in there:
                    self._closed.pop(key, None)
        return len(there) < len(asked)

    def _name(self, keys: Iterable[int]) -> list[str]:
        """Return a text for each that something keeps, and put aside those of which it cannot be seen what does."""
        found = []
        for key in keys:
            closed = self._closed.pop(key)
            holders = holders_of(closed.identity)
            if holders:
                found.append("\n  ".join([f"{closed.what} is still there:", *holders]))
            else:
                self._unexplained[key] = closed
        return found
