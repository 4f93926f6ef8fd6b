"""What a child of the modes ``fork`` and ``mp`` does.

The child is given the namespace and a job, and answers once over its channel; for a function, it says before that it
has begun. It then ends by ``os._exit``, whatever was raised in it, so that nothing of its parent's (exit handlers,
buffers, a second run of the test session) can run in it.
"""

from __future__ import annotations

import gc
import posix as os  # see syscalls.py
import signal
import socket
import sys
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from .._errors import ChildCallError, is_meant
from .._linux import fdpass, sockets, syscalls
from . import pickling
from .protocol import Spec
from .reply import CREATING_SOCKET, ENTERING, OK, failure, reply

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

BEGUN, RAISED, UNPICKLABLE = b".", b"!", b"?"


class Job(ABC):
    """What a child does inside the namespace."""

    runs_code_of_others = False

    @abstractmethod
    def __call__(self, channel: fdpass.Channel) -> tuple[bytes, Sequence[socket.socket]]:
        """Do it; return the answer and the sockets to pass with it."""


class MakeSockets(Job):
    """Make sockets."""

    def __init__(self, specs: Sequence[Spec]) -> None:
        self.specs = specs

    def __call__(self, channel: fdpass.Channel) -> tuple[bytes, Sequence[socket.socket]]:
        with CREATING_SOCKET:
            return OK, [sockets.Socket(*spec) for spec in self.specs]


class CallFunction(Job):
    """Call a function; say before that it has begun."""

    runs_code_of_others = True

    def __init__(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self.func = func
        self.args = args
        self.kwargs = kwargs

    def __call__(self, channel: fdpass.Channel) -> tuple[bytes, Sequence[socket.socket]]:
        fdpass.send(channel, BEGUN)
        try:
            value = self.func(*self.args, **self.kwargs)
        except BaseException as error:
            return RAISED + _dump_exception(error), ()
        finally:
            flush_standard_streams()
        try:
            pickled, sockets = pickling.dump(value)
        except Exception as error:
            text = f"{self.func!r} returned {value!r}, which cannot be pickled and passed back: {error}"
            return UNPICKLABLE + text.encode(errors="replace"), ()
        return OK + pickled, sockets


def flush_standard_streams() -> None:
    """Flush what was printed: before a fork, so that it is not printed twice, and in a child, which ends without it."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and not stream.closed:
            stream.flush()


def _dump_exception(error: BaseException) -> bytes:
    """Return an exception pickled, with its traceback as text; where it cannot be, one that says what it was."""
    own = error.__traceback__  # the frame that has called the function
    text = "".join(traceback.format_exception(type(error), error, None if own is None else own.tb_next))
    try:
        pickled, _ = pickling.dump((error, text))
        # An exception with an __init__ of its own may pickle and not unpickle.
        pickling.load(pickled, fdpass.Received())
        return pickled
    except Exception as reason:
        stand_in = ChildCallError(f"{type(error).__qualname__}: {error} (it cannot be passed back as itself: {reason})")
        return pickling.dump((stand_in, text))[0]


def run(channel: fdpass.Channel, ns: int, job: Job, parent: int | None = None, handled: Sequence[int] = ()) -> NoReturn:
    """Be the child: enter the namespace, do the job, answer, and end the process.

    :param parent: the process that has to be the parent still, where this one was forked from it.
    :param handled: the signals for which that one has a handler; they are blocked, and for a job of our own stay so.
    """
    code = 1
    try:
        gc.disable()
        if job.runs_code_of_others:
            _become_a_process_of_its_own(parent, handled)
        _answer(channel, ns, job)
        code = 0
    finally:
        os._exit(code)


def _become_a_process_of_its_own(parent: int | None, handled: Sequence[int]) -> None:
    signal.set_wakeup_fd(-1)  # that of the parent's event loop
    for number in handled:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    if parent is not None:
        syscalls.die_with_parent(parent)


def _answer(channel: fdpass.Channel, ns: int, job: Job) -> None:
    sockets: Sequence[socket.socket] = ()
    try:
        with ENTERING:
            syscalls.enter(ns)
        payload, sockets = job(channel)
    except BaseException as error:
        payload = failure(error)
    reply(channel, payload, [sock.fileno() for sock in sockets])
