"""Code that runs inside a namespace in this process: in the calling thread, or in one that is thrown away."""

from __future__ import annotations

import contextlib
import contextvars
import errno
import os
import threading
from collections.abc import Callable, Iterator
from typing import TypeVar

from . import causes, kernel
from .errors import NetNSTimeoutError, from_errno

__tracebackhide__ = True  # a failed test's report ends in the test; --full-trace shows the rest

T = TypeVar("T")


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
        if is_below(ns(), what):
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
        step = causes.ENTERING if kernel.is_owned_below(ns) else causes.ANYTHING
        raise from_errno(error.errno or 0, f"{what}: cannot enter it from a thread", step=step) from error


def is_below(ns: int, what: object) -> bool:
    """Whether a namespace belongs to a user namespace below the one this process is in.

    :raises NetNSError: it cannot be told, at the limit of open files for example.
    """
    try:
        return kernel.is_owned_below(ns)
    except OSError as error:
        raise from_errno(error.errno or 0, f"{what}: cannot tell whose it is") from error


def check(ns: int, what: object) -> None:
    """Raise now what a thread would raise that enters a namespace, where that is in doubt."""
    if is_below(ns, what):
        call(ns, what, lambda: None)


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
        raise from_errno(errno.EAGAIN, f"{what}: cannot start a thread", step=causes.STARTING) from error


def call(ns: int, what: object, func: Callable[[], T], timeout: float | None = None) -> T:
    """Run a function inside a namespace, in a thread that ends with it and so has no way back to go wrong.

    :param timeout: how long to wait for it, in seconds; the thread cannot be ended and goes on after that.
    :return: what the function returns; what it raises is raised here.
    """
    returned: list[T] = []
    raised: list[BaseException] = []
    context = contextvars.copy_context()

    def body() -> None:
        try:
            enter(ns, what)
            returned.append(context.run(func))
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=body, name=f"call in {what}", daemon=True)
    with starting(what):
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
