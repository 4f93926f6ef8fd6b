"""Code that runs inside a namespace in this process: in the calling thread, or in one that is thrown away."""

from __future__ import annotations

import contextlib
import contextvars
import errno
import threading
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType
from typing import TypeVar

from .. import _causes
from .._errors import NetNSError, NetNSTimeoutError, NetNSUnsupportedError, from_errno, is_meant
from . import syscalls

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

T = TypeVar("T")
Copy = Callable[[list[int]], object]
"""Adds a new descriptor of a namespace to a list, or raises where the namespace is closed."""

WAY_BACK = "the thread's own namespace, to which it returns"

GREENLETS = (
    "gevent or eventlet has replaced threads by greenlets, which are all in the one thread that would be moved; start "
    "pytest without that, or use sockets, or call() with a child_mode such as 'fork'"
)


class Entered:
    """Has the calling thread in a namespace for the length of a block.

    Not a generator: a signal handler that raises between its first part and the block would leave the thread inside.

    :param ns: adds a new descriptor of the namespace, which no other thread can close, to a list, or raises where it is
        closed.
    :param what: how to call it in an error.
    :param inside: has this object as long as a thread is inside by it: who closes the namespace is to end that, since a
        signal handler may also raise as ``__exit__`` begins.
    """

    def __init__(self, ns: Copy, what: object, inside: list[Entered]) -> None:
        self._ns = ns
        self._what = what
        self._inside = inside
        self._copies: list[int] = []
        self._original: list[int] = []
        self._may_be_inside = False
        self.thread = 0

    def __enter__(self) -> None:
        self.thread = threading.get_ident()
        self._inside.append(self)
        try:
            try:
                original = syscalls.open_own_namespace(self._original)
            except OSError as error:
                raise from_errno(
                    error.errno or 0, f"{self._what}: cannot hold the thread's own namespace, to return to it"
                ) from error
            self._ns(self._copies)
            is_elsewhere = is_below(self._copies[0], self._what)
            if not is_elsewhere:  # else it is entered first, which says why it cannot be
                enter(original, WAY_BACK)
            self._may_be_inside = True
            try:
                enter(self._copies[0], self._what)
            except NetNSError:
                self._may_be_inside = False
                raise
            syscalls.close_all(self._copies)
        except BaseException:
            self.leave()
            raise

    def __exit__(self, *_: object) -> None:
        try:
            self.leave()
        except BaseException:  # a signal handler's, perhaps before it was done
            self.leave()
            raise

    def leave(self) -> None:
        """Go back to where the thread was; nothing, if it has."""
        if self._may_be_inside:
            enter(self._original[0], WAY_BACK)
            self._may_be_inside = False
        syscalls.close_all(self._original)
        syscalls.close_all(self._copies)
        if self in self._inside:
            self._inside.remove(self)


def enter(ns: int, what: object) -> None:
    """Move the calling thread into a namespace.

    :raises NetNSError: it may not.
    """
    try:
        syscalls.setns(ns)
    except OSError as error:
        is_elsewhere = error.errno == errno.EPERM and syscalls.is_owned_below(ns)
        step = _causes.ENTERING if is_elsewhere else _causes.ANYTHING
        raise from_errno(error.errno or 0, f"{what}: cannot enter it from a thread", step=step) from error


def is_below(ns: int, what: object) -> bool:
    """Whether a namespace belongs to a user namespace below the one this process is in.

    :raises NetNSError: it cannot be told, at the limit of open files for example.
    """
    try:
        return syscalls.is_owned_below(ns)
    except OSError as error:
        raise from_errno(error.errno or 0, f"{what}: cannot tell whose it is") from error


def enter_in_thread(starter: int, ns: int, what: object) -> None:
    """Move the calling thread, which was started for that, into a namespace.

    :param starter: the thread that has started it, as of ``syscalls.thread_id``.
    :raises NetNSError: it may not, or it is no thread of its own.
    """
    if syscalls.thread_id() == starter:
        raise NetNSUnsupportedError(errno.EOPNOTSUPP, f"{what}: cannot enter it from a thread; {GREENLETS}")
    enter(ns, what)


def check(ns: Copy, what: object) -> None:
    """Raise now what a thread would raise that enters a namespace, where that is in doubt.

    :param ns: as of :class:`Entered`.
    """
    check_threads(what)
    fds: list[int] = []
    try:
        ns(fds)
        if is_below(fds[0], what):
            call(ns, what, lambda: None)
        syscalls.close_all(fds)
    except BaseException:
        syscalls.close_all(fds)
        raise


@contextlib.contextmanager
def starting(what: object) -> Iterator[None]:
    """Let a thread that the kernel refuses be an error that says so, where ``threading`` raises a RuntimeError.

    :raises NetNSLimitError: there can be no more threads.
    """
    try:
        yield
    except RuntimeError as error:
        if not str(error).startswith("can't start new thread"):
            raise
        raise from_errno(errno.EAGAIN, f"{what}: cannot start a thread", step=_causes.STARTING) from error


def check_threads(what: object) -> None:
    """Raise if what is started as a thread is none, before a pool of such would wait for ever.

    :raises NetNSUnsupportedError: it is none.
    """
    start = getattr(threading, "_start_joinable_thread", getattr(threading, "_start_new_thread", None))
    if isinstance(start, BuiltinFunctionType):
        return
    # It may be that of a tracer, too: only a trial tells.
    ids: list[int] = []
    thread = threading.Thread(target=lambda: ids.append(syscalls.thread_id()))
    thread.start()
    thread.join()
    if syscalls.thread_id() in ids:
        raise NetNSUnsupportedError(errno.EOPNOTSUPP, f"{what}: cannot enter it from a thread; {GREENLETS}")


def call(ns: Copy, what: object, func: Callable[[], T], timeout: float | None = None) -> T:
    """Run a function inside a namespace, in a thread that ends with it, and so never has to return.

    :param ns: as of :class:`Entered`.
    :param timeout: how long to wait for it, in seconds; the thread cannot be ended and goes on after that.
    :return: what the function returns; what it raises is raised here.
    """
    returned: list[T] = []
    raised: list[BaseException] = []
    starter, context = syscalls.thread_id(), contextvars.copy_context()
    fds: list[int] = []

    def body() -> None:
        try:
            try:
                enter_in_thread(starter, fds[0], what)
            finally:
                syscalls.close_all(fds)
            returned.append(context.run(func))
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=body, name=f"call in {what}", daemon=True)
    try:
        ns(fds)
        with starting(what):
            thread.start()
    except BaseException:
        if thread.ident is None:
            syscalls.close_all(fds)
        raise
    thread.join(timeout)
    if raised:
        try:
            raise raised[0]
        finally:
            raised.clear()  # the exception's frames refer to this list
    if not returned:
        raise _too_late(func, f"{what}: {{}} did not return within {timeout:g} s and goes on in thread {thread.name!r}")
    return returned[0]


def _too_late(func: Callable[[], object], text: str) -> NetNSTimeoutError:
    inner = getattr(func, "func", func)  # of a functools.partial
    name = getattr(inner, "__qualname__", repr(inner))
    remedy = "a child, unlike a thread, can be killed: give a child_mode"
    return NetNSTimeoutError(errno.ETIMEDOUT, f"{text.format(name)}; {remedy}")
