"""Code that runs inside a namespace in this process: in the calling thread, or in one that is thrown away."""

from __future__ import annotations

import contextlib
import contextvars
import errno
import posix as os  # see kernel.py
import threading
from collections.abc import Callable, Iterator
from types import BuiltinFunctionType
from typing import TypeVar

from . import kernel
from .errors import NetNSTimeoutError, NetNSUnsupportedError, from_errno

__tracebackhide__ = True  # a failed test's report ends in the test; --full-trace shows the rest

T = TypeVar("T")

ELSEWHERE = (
    "it belongs to a user namespace of the resident child's, which a process with threads cannot join; give "
    "--netns-userns=process, by which pytest is in one from the start, or use sockets, run(), popen(), or call() with "
    "a child_mode such as 'fork'"
)

GREENLETS = (
    "gevent or eventlet has replaced threads by greenlets, which are all in the one thread that would be moved; start "
    "pytest without that, or use sockets, or call() with a child_mode such as 'fork'"
)


@contextlib.contextmanager
def entered(ns: Callable[[], int], what: object) -> Iterator[None]:
    """Move the calling thread into a namespace, and back at the end.

    :param ns: returns a descriptor of the namespace, or raises where it is closed.
    :param what: how to call it in an error.
    """
    try:
        home = kernel.open_own_namespace()
    except OSError as error:
        raise from_errno(error.errno or 0, f"{what}: cannot keep the way back") from error
    try:
        if kernel.is_owned_below(ns()):
            enter(ns(), what)  # says why not
        enter(home, "the thread's own namespace, the way back from the other")
        enter(ns(), what)
        try:
            yield
        finally:
            enter(home, "the thread's own namespace, the way back from the other")
    finally:
        os.close(home)


def enter(ns: int, what: object) -> None:
    """Move the calling thread into a namespace.

    :raises NetNSError: it may not.
    """
    try:
        kernel.setns(ns)
    except OSError as error:
        elsewhere = error.errno == errno.EPERM and kernel.is_owned_below(ns)
        raise from_errno(
            error.errno or 0, f"{what}: cannot enter it from a thread", remedy=ELSEWHERE if elsewhere else None
        ) from error


def enter_in_thread(starter: int, ns: int, what: object) -> None:
    """Move the calling thread, which was started for that, into a namespace.

    :param starter: the thread that has started it, as of ``kernel.thread_id``.
    :raises NetNSError: it may not, or it is no thread of its own.
    """
    if kernel.thread_id() == starter:
        raise NetNSUnsupportedError(errno.EOPNOTSUPP, f"{what}: cannot enter it from a thread; {GREENLETS}")
    enter(ns, what)


def check(ns: int, what: object) -> None:
    """Raise now what a thread would raise that enters a namespace, where that is in doubt."""
    check_threads(what)
    if kernel.is_owned_below(ns):
        call(ns, what, lambda: None)


def check_threads(what: object) -> None:
    """Raise if what is started as a thread is none, before a pool of such would wait for ever.

    :raises NetNSUnsupportedError: it is none.
    """
    start = getattr(threading, "_start_joinable_thread", getattr(threading, "_start_new_thread", None))
    if isinstance(start, BuiltinFunctionType):
        return
    # It may be that of a tracer, too: only a trial tells.
    ids: list[int] = []
    thread = threading.Thread(target=lambda: ids.append(kernel.thread_id()))
    thread.start()
    thread.join()
    if kernel.thread_id() in ids:
        raise NetNSUnsupportedError(errno.EOPNOTSUPP, f"{what}: cannot enter it from a thread; {GREENLETS}")


def call(ns: int, what: object, func: Callable[[], T], timeout: float | None = None) -> T:
    """Run a function inside a namespace, in a thread that ends with it and so has no way back to go wrong.

    :param timeout: how long to wait for it, in seconds; the thread cannot be ended and goes on after that.
    :return: what the function returns; what it raises is raised here.
    """
    returned: list[T] = []
    raised: list[BaseException] = []
    context = contextvars.copy_context()
    starter = kernel.thread_id()

    def body() -> None:
        try:
            enter_in_thread(starter, ns, what)
            returned.append(context.run(func))
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=body, name=f"call in {what}", daemon=True)
    thread.start()
    thread.join(timeout)
    if raised:
        try:
            raise raised[0]
        finally:
            raised.clear()  # the exception's frames refer to this list
    if not returned:
        inner = getattr(func, "func", func)  # of a functools.partial
        name = getattr(inner, "__qualname__", repr(inner))
        raise NetNSTimeoutError(
            errno.ETIMEDOUT,
            f"{what}: {name} did not return within {timeout:g} s and goes on in thread {thread.name!r}; "
            "a child, unlike a thread, can be killed: give a child_mode",
        )
    return returned[0]
