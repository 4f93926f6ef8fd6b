"""Tests that run inside a network namespace from their set-up to their teardown, and know nothing of it."""

from __future__ import annotations

import contextlib
import posix as os  # see kernel.py
from collections.abc import Iterator
from typing import TYPE_CHECKING

from . import inside, kernel
from .errors import from_errno
from .mphelpers import Helpers
from .pools import Pools

if TYPE_CHECKING:
    from .namespace import NetNS

__tracebackhide__ = True  # a failed test's report ends in the test; --full-trace shows the rest


class Isolation:
    """Keeps the main thread inside a namespace while a test runs, and at home while what outlives the test is made."""

    def __init__(self) -> None:
        self._home = kernel.open_own_namespace()
        self._pools = Pools()
        self._helpers = Helpers(self.at_home, self._inside)
        self._fd = -1  # of the namespace, also if the test closes its own
        self.place: NetNS | None = None
        """The namespace of the test that runs, if it is isolated."""

    def close(self) -> None:
        self._helpers.close()
        os.close(self._home)

    @contextlib.contextmanager
    def inside(self, place: NetNS) -> Iterator[None]:
        """Be inside a namespace for the length of a block, with the threads of pools that were born inside another."""
        with contextlib.ExitStack() as undo:
            self._fd = os.dup(place.fileno())
            undo.callback(self._forget)
            undo.callback(self._pools.leave, kernel.namespace_id(self._fd), self._home)
            undo.enter_context(place.enter())
            self.place = place
            self._pools.follow(self._fd)
            yield

    def _forget(self) -> None:
        fd, self._fd, self.place = self._fd, -1, None
        os.close(fd)

    @contextlib.contextmanager
    def at_home(self) -> Iterator[None]:
        """Be outside for the length of a block, if the calling thread is inside."""
        fd = self._inside()
        if fd is None:
            yield
            return
        inside.enter(self._home, "the way out of the test's namespace")
        try:
            yield
        finally:
            inside.enter(fd, self.place)

    def _inside(self) -> int | None:
        """Return a descriptor of the namespace of the test, if the calling thread is inside."""
        if self._fd < 0 or kernel.namespace_id("/proc/thread-self/ns/net") != kernel.namespace_id(self._fd):
            return None
        return self._fd


def move_into_new() -> int:
    """Move the calling thread into a namespace of its own, with loopback up.

    :return: a descriptor of the one it comes from, owned by the caller.
    :raises NetNSError: it may not; then it is where it was.
    """
    with contextlib.ExitStack() as undo:
        try:
            home = kernel.open_own_namespace()
            undo.callback(os.close, home)
            kernel.unshare()
            undo.callback(kernel.setns, home)
            kernel.set_link_up("lo")
        except OSError as error:
            raise from_errno(error.errno or 0, "cannot move into a namespace of its own") from error
        undo.pop_all()
    return home


@contextlib.contextmanager
def in_new() -> Iterator[None]:
    """Be inside a namespace that nobody knows, for the length of a block."""
    home = move_into_new()
    try:
        yield
    finally:
        try:
            inside.enter(home, "the way out of the test's namespace")
        finally:
            os.close(home)
