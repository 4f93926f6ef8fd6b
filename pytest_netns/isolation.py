"""Tests that run inside a network namespace from their set-up to their teardown, and know nothing of it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from . import inside, kernel, loopback
from .errors import from_errno
from .mphelpers import Helpers
from .pools import Pools

if TYPE_CHECKING:
    from .namespace import NetNS

__tracebackhide__ = True  # a failed test's report ends in the test; --full-trace shows the rest


class Place:
    """A namespace in which isolated tests run.

    :param ns: the namespace; its owner may close it before.
    :param scopes: the scopes of the fixtures that are set up inside.
    """

    def __init__(self, ns: NetNS, scopes: Collection[str]) -> None:
        self.ns = ns
        self.scopes = scopes
        ns._is_entered()
        self.fd = os.dup(ns.fileno())
        self.identity = kernel.namespace_id(self.fd)

    def __str__(self) -> str:
        return str(self.ns)

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        os.close(fd)


class Isolation:
    """Keeps the main thread inside a namespace while a test runs, and outside while what outlives that is made."""

    def __init__(self) -> None:
        self._original = kernel.open_own_namespace()
        self._pools = Pools()
        self._helpers = Helpers(self.outside, self._inside)
        self._places: dict[tuple[int, int], Place] = {}
        self.place: Place | None = None
        """Where the test that runs is, if it is isolated."""

    def close(self) -> None:
        self._helpers.close()
        os.close(self._original)

    @contextlib.contextmanager
    def open(self, ns: NetNS, scopes: Collection[str]) -> Iterator[Place]:
        """Have a namespace for isolated tests, for the length of a block."""
        with contextlib.ExitStack() as undo:
            place = Place(ns, scopes)
            undo.callback(place.close)
            self._places[place.identity] = place
            undo.callback(self._places.pop, place.identity)
            undo.callback(self._pools.leave, place.identity, self._original)
            yield place

    @contextlib.contextmanager
    def inside(self, place: Place) -> Iterator[None]:
        """Be inside a namespace for the length of a block, with the threads of pools that were born inside another."""
        with self._at(place.fd, place):
            self.place = place
            try:
                self._pools.follow(place.fd)
                yield
            finally:
                self.place = None

    def outside(self) -> contextlib.AbstractContextManager[None]:
        """Be in the original namespace for the length of a block."""
        return self._at(self._original, "the way out of the test's namespace")

    def where_for(self, scope: str) -> Place | None:
        """Return where a fixture of a scope is set up and torn down: inside, or outside if it is wider than that."""
        place = self.place
        return place if place is not None and scope in place.scopes else None

    def at(self, place: Place | None) -> contextlib.AbstractContextManager[None]:
        """Be inside a namespace, or outside, for the length of a block."""
        return self.outside() if place is None else self._at(place.fd, place)

    @contextlib.contextmanager
    def _at(self, fd: int, what: object) -> Iterator[None]:
        if kernel.namespace_id("/proc/thread-self/ns/net") == kernel.namespace_id(fd):
            yield
            return
        back = kernel.open_own_namespace()
        try:
            inside.enter(fd, what)
            try:
                yield
            finally:
                inside.enter(back, "the way back from the test's namespace, or into it")
        finally:
            os.close(back)

    def _inside(self) -> int | None:
        """Return a descriptor of the namespace of the calling thread, if isolated tests are inside that."""
        place = self._places.get(kernel.namespace_id("/proc/thread-self/ns/net"))
        return None if place is None else place.fd


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
            loopback.complete()
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
