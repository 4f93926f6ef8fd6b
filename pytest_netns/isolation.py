"""Tests that run inside a network namespace from their set-up to their teardown, and know nothing of it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from . import inside, kernel
from .helpers import Helpers
from .pools import Pools

if TYPE_CHECKING:
    from .namespace import NetNS

__tracebackhide__ = True  # a failed test's report ends in the test; --full-trace shows the rest


class Isolation:
    """Keeps the main thread inside a namespace while a test runs, and at home while what outlives the test is made."""

    def __init__(self) -> None:
        self._home = kernel.open_own_namespace()
        self._pools = Pools()
        self.helpers = Helpers(self.at_home, self._place_of_thread)
        self.place: NetNS | None = None
        """The namespace that the main thread is inside, but for what is done at home."""

    def close(self) -> None:
        self.helpers.close()
        os.close(self._home)

    @contextlib.contextmanager
    def inside(self, place: NetNS) -> Iterator[None]:
        """Be inside a namespace for the length of a block, with the threads of pools that were born inside another."""
        with place.enter():
            self.place = place
            self._pools.follow(place.fileno())
            try:
                yield
            finally:
                self.place = None
        self._pools.leave(kernel.namespace_id(place.fileno()), self._home)

    @contextlib.contextmanager
    def at_home(self) -> Iterator[None]:
        """Be outside for the length of a block, if the calling thread is inside."""
        place = self._place_of_thread()
        if place is None:
            yield
            return
        inside.enter(self._home, "the way out of the test's namespace")
        try:
            yield
        finally:
            inside.enter(place, self.place)

    def _place_of_thread(self) -> int | None:
        place = self.place
        if place is None or kernel.namespace_id("/proc/thread-self/ns/net") != kernel.namespace_id(place.fileno()):
            return None
        return place.fileno()


def move_into_new() -> int:
    """Move the calling thread into a namespace of its own, with loopback up.

    :return: a descriptor of the one it comes from, owned by the caller.
    :raises OSError: it may not.
    """
    home = kernel.open_own_namespace()
    try:
        kernel.unshare()
        kernel.set_link_up("lo")
    except BaseException:
        os.close(home)
        raise
    return home


@contextlib.contextmanager
def in_new() -> Iterator[Any]:
    """Be inside a namespace that nobody knows, for the length of a block."""
    home = move_into_new()
    try:
        yield
    finally:
        try:
            inside.enter(home, "the way out of the test's namespace")
        finally:
            os.close(home)
