"""Code that runs inside a namespace in this process: in the calling thread, or in one that is thrown away."""

from __future__ import annotations

import contextlib
import contextvars
import errno
import os
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from . import kernel
from .errors import NetNSTimeoutError, from_errno

__tracebackhide__ = True  # a failed test's report ends in the test; --full-trace shows the rest

T = TypeVar("T")

ELSEWHERE = (
    "it belongs to a user namespace of the resident child's, which a process with threads cannot join; give "
    "--netns-userns=process, by which pytest is in one from the start, or use sockets, run(), popen(), or call() with "
    "a child_mode such as 'fork'"
)


@contextlib.contextmanager
def entered(ns: Callable[[], int], what: object) -> Iterator[None]:
    """Move the calling thread into a namespace, and back at the end.

    :param ns: returns a descriptor of the namespace, owned here, or raises where it is closed.
    :param what: how to call it in an error.
    """
    try:
        home = kernel.open_own_namespace()
    except OSError as error:
        raise from_errno(error.errno or 0, f"{what}: cannot keep the way back") from error
    try:
        fd = ns()
        try:
            if kernel.is_owned_below(fd):
                enter(fd, what)  # says why not
            enter(home, "the thread's own namespace, the way back from the other")
            enter(fd, what)
        finally:
            os.close(fd)
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


def check(ns: Callable[[], int], what: object) -> None:
    """Raise now what a thread would raise that enters a namespace, where that is in doubt.

    :param ns: as of :func:`entered`.
    """
    fd = ns()
    try:
        if kernel.is_owned_below(fd):
            call(ns, what, lambda: None)
    finally:
        os.close(fd)


def call(ns: Callable[[], int], what: object, func: Callable[[], T], timeout: float | None = None) -> T:
    """Run a function inside a namespace, in a thread that ends with it and so has no way back to go wrong.

    :param ns: as of :func:`entered`.
    :param timeout: how long to wait for it, in seconds; the thread cannot be ended and goes on after that.
    :return: what the function returns; what it raises is raised here.
    """
    returned: list[T] = []
    raised: list[BaseException] = []
    context = contextvars.copy_context()

    def body() -> None:
        try:
            try:
                enter(fd, what)
            finally:
                os.close(fd)
            returned.append(context.run(func))
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=body, name=f"call in {what}", daemon=True)
    fd = ns()
    try:
        thread.start()
    except BaseException:
        os.close(fd)
        raise
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
