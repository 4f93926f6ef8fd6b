"""Where the time goes that namespaces take: how long each kind of work has taken, for each test and namespace."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from .._linux import syscalls


class Spent(NamedTuple):
    """What one kind of work has taken, for one test and one namespace."""

    seconds: float
    times: int
    """How many times it was done."""
    what: str
    where: str
    """The label of the namespace."""
    test: str


class Stopwatch:
    """Measures kinds of work, by a clock that no test replaces.

    :param test: returns the name of the test that runs.
    """

    def __init__(self, test: Callable[[], str]) -> None:
        self._test = test
        self._spent: dict[tuple[str, str, str], tuple[float, int]] = {}

    @contextlib.contextmanager
    def measure(self, where: str, what: str) -> Iterator[None]:
        """Measure a block.

        :param where: the label of the namespace.
        :param what: what the block does.
        """
        begin = syscalls.monotonic()
        try:
            yield
        finally:
            key = what, where, self._test()
            seconds, count = self._spent.get(key, (0.0, 0))
            self._spent[key] = seconds + syscalls.monotonic() - begin, count + 1

    def spent(self) -> list[Spent]:
        """Return what has been measured."""
        return [Spent(*taken, *key) for key, taken in self._spent.items()]
