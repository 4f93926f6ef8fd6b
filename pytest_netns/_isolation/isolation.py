"""Tests that run inside a network namespace from their set-up to their teardown, and know nothing of it."""

from __future__ import annotations

import contextlib
import posix as os  # see syscalls.py
import threading
import weakref
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from .. import _causes
from .._audit import Audit
from .._errors import from_errno, is_meant
from .._linux import entering, loopback, proc, syscalls
from .multiprocessing_helpers import Helpers
from .pools import LOADING, NETWORK, Pools
from .wanted import Outside

if TYPE_CHECKING:
    from .._netns.namespace import NetNS

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

ENDED = (FileNotFoundError, ProcessLookupError, PermissionError)
"""What is raised for a thread that has ended, or ends: then it may not be looked into (ptrace(2))."""
GRACE = 1.0  # seconds that a thread gets to end by itself: threading does not know one any more that has joined it
PAUSE = 0.005  # seconds between two looks at it
TASKS = "/proc/self/task"
ALONE = 3  # the links to that directory in a process of one thread: two, as of each directory, and one a thread


class Stay:
    """A namespace that threads go to, held by a descriptor until nothing refers to the object.

    :param fd: a descriptor, which it goes on to own.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.identity = syscalls.namespace_id(fd)
        self.close = weakref.finalize(self, os.close, fd)
        self.close.atexit = False


class TestNamespace(Stay):
    """A namespace in which isolated tests run.

    :param ns: the namespace; its owner may close it before.
    :param scopes: the scopes of the fixtures that are set up inside.
    """

    def __init__(self, ns: NetNS, scopes: Collection[str]) -> None:
        super().__init__(os.dup(ns.fileno()))
        self.ns = ns
        self.scopes = scopes
        ns._is_entered()

    def __str__(self) -> str:
        return str(self.ns)


class Isolation:
    """Keeps the main thread inside a namespace while a test runs, and outside while what outlives that is made.

    :param audit: tells what the threads of this process do.
    """

    def __init__(self, audit: Audit) -> None:
        self.original = Stay(syscalls.open_own_namespace())
        self._test_namespaces: dict[tuple[int, int], TestNamespace] = {}
        self._stranded: set[int] = set()
        self._natives: dict[int, str] = {}
        self._main = threading.get_ident()
        self._of_main: Stay = self.original
        self.test_ns: TestNamespace | None = None
        """Where the test that runs is, if it is isolated."""
        self.outside_fixtures = Outside()
        self._helpers = Helpers(self.outside, self._inside)
        self._pools = Pools(self)
        audit.listen(LOADING, self._pools.hear_of_loading)
        audit.listen(NETWORK, self._pools.hear_of_network)
        audit.listen(("socket.bind",), self.outside_fixtures.hear_of_bind)

    def close(self) -> None:
        self._pools.close()
        self._helpers.close()
        self.original.close()

    @contextlib.contextmanager
    def open(self, ns: NetNS, scopes: Collection[str]) -> Iterator[TestNamespace]:
        """Have a namespace for isolated tests, for the length of a block."""
        test_ns = TestNamespace(ns, scopes)
        self._test_namespaces[test_ns.identity] = test_ns
        self._pools.adopt()
        try:
            yield test_ns
        finally:
            del self._test_namespaces[test_ns.identity]

    @contextlib.contextmanager
    def inside(self, test_ns: TestNamespace) -> Iterator[None]:
        """Be inside a namespace for the length of a block."""
        with self._at(test_ns, test_ns):
            self.test_ns = test_ns
            try:
                yield
            finally:
                self.test_ns = None

    def where_for(self, scope: str) -> TestNamespace | None:
        """Return where a fixture of a scope is set up and torn down: inside, or outside if it is wider than that."""
        test_ns = self.test_ns
        return test_ns if test_ns is not None and scope in test_ns.scopes else None

    def at(self, test_ns: TestNamespace | None) -> contextlib.AbstractContextManager[None]:
        """Be inside a namespace, or outside, for the length of a block."""
        return self.outside() if test_ns is None else self._at(test_ns, test_ns)

    @contextlib.contextmanager
    def _at(self, stay: Stay, what: object) -> Iterator[None]:
        if syscalls.namespace_id("/proc/thread-self/ns/net") == stay.identity:
            yield
            return
        back = syscalls.open_own_namespace()
        try:
            entering.enter(stay.fd, what)
            with self._noting(stay):
                try:
                    yield
                finally:
                    entering.enter(back, "the namespace that the thread was in before")
        finally:
            os.close(back)

    @contextlib.contextmanager
    def _noting(self, stay: Stay) -> Iterator[None]:
        """Note where the main thread is, for the length of a block."""
        if threading.get_ident() != self._main:
            yield
            return
        before, self._of_main = self._of_main, stay
        try:
            yield
        finally:
            self._of_main = before

    def _inside(self) -> int | None:
        """Return a descriptor of the namespace of the calling thread, if isolated tests are inside that."""
        test_ns = self._test_namespaces.get(syscalls.namespace_id("/proc/thread-self/ns/net"))
        return None if test_ns is None else test_ns.fd

    # For the threads of pools

    def outside(self) -> contextlib.AbstractContextManager[None]:
        """Be in the original namespace for the length of a block."""
        return self._at(self.original, "the namespace outside, from the test's")

    def of_caller(self) -> Stay | None:
        """Return the namespace of the calling thread, if it is that of a test, or the original one."""
        identity = syscalls.namespace_id("/proc/thread-self/ns/net")
        return self.original if identity == self.original.identity else self._test_namespaces.get(identity)

    def may_leave(self, identity: tuple[int, int]) -> bool:
        """Whether the calling thread, in that namespace, is there by our doing or since a test started it there."""
        is_known = identity == self.original.identity or identity in self._test_namespaces
        return is_known or threading.get_native_id() in self._stranded

    def now(self) -> Stay:
        """Return the namespace of the test that runs, or the original one, also while a wider fixture is set up."""
        return self._of_main

    # For the threads that stay behind

    def left_in(self, test_ns: TestNamespace) -> list[str]:
        """Return a name for each thread that no Python code has started and that is inside for good, once for each."""
        if os.stat(TASKS).st_nlink == ALONE:
            return []
        deadline = syscalls.monotonic() + GRACE
        while natives := self._look_into(test_ns):
            if syscalls.monotonic() >= deadline:
                break
            syscalls.sleep(PAUSE)
        names = {task: f"{_name_of(task)!r} ({task})" for task in sorted(natives)}
        self._natives.update(names)
        return list(names.values())

    def _look_into(self, test_ns: TestNamespace) -> set[int]:
        """Note which threads are inside; return those new ones among them that no Python code has started."""
        tasks = {int(task) for task in os.listdir(TASKS)} - {os.getpid()}
        self._stranded &= tasks
        staying = {task for task in tasks.difference(self._natives) if _namespace_of(task) == test_ns.identity}
        self._stranded |= staying
        if not staying:
            return staying
        return staying - {thread.native_id for thread in threading.enumerate()} - test_ns.ns._processes.native_ids()

    def elsewhere(self) -> list[str]:
        """Return the names of those of them that are still there, but not where the test is."""
        identity = self.now().identity
        return [name for task, name in self._natives.items() if _namespace_of(task) not in (None, identity)]


def _namespace_of(task: int) -> tuple[int, int] | None:
    try:
        return syscalls.namespace_id(f"/proc/self/task/{task}/ns/net")
    except ENDED:
        return None


def _name_of(task: int) -> str:
    try:
        return proc.read(f"/proc/self/task/{task}/comm").decode(errors="replace").strip()
    except ENDED:
        return "?"


def move_into_new() -> int:
    """Move the calling thread into a namespace of its own, with loopback up.

    :return: a descriptor of the one it comes from, owned by the caller.
    :raises NetNSError: it may not; then it is where it was.
    """
    with contextlib.ExitStack() as undo:
        try:
            original = syscalls.open_own_namespace()
            undo.callback(os.close, original)
            syscalls.unshare()
            undo.callback(syscalls.setns, original)
            loopback.complete()
        except OSError as error:
            raise from_errno(
                error.errno or 0, "cannot move into a namespace of its own", step=_causes.NETWORK
            ) from error
        undo.pop_all()
    return original


@contextlib.contextmanager
def in_new() -> Iterator[None]:
    """Be inside a namespace that nobody knows, for the length of a block."""
    original = move_into_new()
    try:
        yield
    finally:
        try:
            entering.enter(original, "the namespace outside, from the test's")
        finally:
            os.close(original)
