"""Which namespaces stay after the end of the session: those of the tests that have failed, within bounds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from .._errors import NetNSError, is_meant
from .._handle import Handle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .._child.resident.client import ResidentMode
    from .lifetime import Lifetime

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

MOST_TESTS = 10  # of one process, whose namespaces are kept: the first to fail
LIFETIME = 24 * 3600.0  # seconds after which what is kept ends by itself


class Kept(NamedTuple):
    """What stays of one test."""

    test: str
    namespaces: list[tuple[str, str]]
    """By what each is entered, and what it is called."""


class Keeping:
    """Decides which namespaces are kept, and hands them over to the resident child.

    :param is_on: whether any are.
    """

    def __init__(self, *, is_on: bool) -> None:
        self._is_on = is_on
        self._failures: list[str] = []
        self._kept: dict[str, list[Lifetime]] = {}
        self.left_out: set[str] = set()
        """The tests that have failed after so many others that their namespaces are not kept."""

    def failed(self, test: str) -> None:
        """Take note of a test that has failed."""
        if self._is_on:
            self._failures.append(test)

    def watch(self) -> Callable[[Lifetime], bool]:
        """Return what tells, as a namespace is closed that is made now, whether it is kept instead."""
        count = len(self._failures)
        return lambda ns: len(self._failures) > count and self._takes(ns)

    def _takes(self, ns: Lifetime) -> bool:
        test = self._failures[-1]
        if any(ns in taken for taken in self._kept.values()):
            return True
        if not self._is_on:
            return False
        if test not in self._kept and len(self._kept) >= MOST_TESTS:
            self.left_out.add(test)
            return False
        self._kept.setdefault(test, []).append(ns)
        return True

    def programs(self) -> set[int]:
        """Return the pids of the programs in what is kept."""
        return {pid for taken in self._kept.values() for ns in taken for pid in ns._processes.pids()}

    def give_up(self) -> None:
        """Keep nothing, so that everything ends with its namespace."""
        self._is_on = False
        self._kept.clear()

    def hand_over(self, resident: ResidentMode, pid: int) -> list[Kept]:
        """Let the resident child stay with what is kept, and forget it here.

        :param pid: that of this process, by which what stays is found.
        :return: what stays.
        :raises NetNSError: the child cannot stay; then everything ends with its namespace.
        """
        taken = [(test, ns) for test, group in self._kept.items() for ns in group]
        if not taken:
            return []
        try:
            resident.stay(LIFETIME, [_item(test, ns) for test, ns in taken])
        except NetNSError:
            self.give_up()
            raise
        found = []
        for test, group in self._kept.items():
            in_order = sorted(group, key=lambda ns: ns._handle.key)
            found.append(Kept(test, [(f"{pid}-{ns._handle.key}", ns.label) for ns in in_order]))
        self.give_up()
        for _, ns in taken:
            _leave(ns)
        return found


def _item(test: str, ns: Lifetime) -> tuple[Handle, str, Sequence[int], Sequence[int]]:
    names = ns._names
    mounts = None if names is None else names.mounts(ns._modes.resident, ns._handle)
    return ns._handle, test, [] if mounts is None else [mounts], ns._processes.pipes()


def _leave(ns: Lifetime) -> None:
    """Let go of a namespace, as the resident child stays with it."""
    del ns._to_undo[:]
    ns._drop_names()
    ns._processes.leave()
    ns._close_fd()
