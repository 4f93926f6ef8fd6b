"""What a child of the modes ``fork`` and ``mp`` does, and how its parent waits for the answer.

The child is given the namespace and a job, and answers once over its channel; for a function, it says before that it
has begun. It then ends by ``os._exit``, whatever was raised in it, so that nothing of its parent's (exit handlers,
buffers, a second run of the test session) can run in it.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import posix as os  # see kernel.py
import signal
import socket
import sys
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from .. import fdpass, kernel, values
from ..errors import ChildCallError, ChildDiedError, ChildProtocolError, NetNSTimeoutError, UnpicklableError, from_errno
from .answer import CREATING_SOCKET, ENTERING, OK, checked, failure, reply
from .protocol import Spec, Target

__tracebackhide__ = True  # a failed test's report ends in the test; --full-trace shows the rest

BEGUN, RAISED, UNPICKLABLE = b".", b"!", b"?"


class Job(ABC):
    """What a child does inside the namespace."""

    runs_code_of_others = False

    @abstractmethod
    def __call__(self, channel: socket.socket) -> tuple[bytes, Sequence[socket.socket]]:
        """Do it; return the answer and the sockets to pass with it."""


class MakeSockets(Job):
    """Make sockets."""

    def __init__(self, specs: Sequence[Spec]) -> None:
        self.specs = specs

    def __call__(self, channel: socket.socket) -> tuple[bytes, Sequence[socket.socket]]:
        with CREATING_SOCKET:
            return OK, [kernel.Socket(*spec) for spec in self.specs]


class CallFunction(Job):
    """Call a function; say before that it has begun."""

    runs_code_of_others = True

    def __init__(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        self.func = func
        self.args = args
        self.kwargs = kwargs

    def __call__(self, channel: socket.socket) -> tuple[bytes, Sequence[socket.socket]]:
        fdpass.send(channel, BEGUN)
        try:
            value = self.func(*self.args, **self.kwargs)
        except BaseException as error:
            return RAISED + _dump_exception(error), ()
        finally:
            flush_standard_streams()
        try:
            pickled, sockets = values.dump(value)
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
    text = "".join(traceback.format_exception(error))
    try:
        pickled, _ = values.dump((error, text))
        values.load(pickled, [])  # an exception with an __init__ of its own may pickle and not unpickle
        return pickled
    except Exception as reason:
        stand_in = ChildCallError(f"{type(error).__qualname__}: {error} (it cannot be passed back as itself: {reason})")
        return values.dump((stand_in, text))[0]


class ChildTraceback(Exception):
    """The cause of an exception that a child raised; its text is the traceback there."""

    def __str__(self) -> str:
        return f"\n\n{self.args[0]}"


def run(channel: socket.socket, ns: int, job: Job, parent: int | None = None, handled: Sequence[int] = ()) -> NoReturn:
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
        kernel.die_with_parent(parent)


def _answer(channel: socket.socket, ns: int, job: Job) -> None:
    sockets: Sequence[socket.socket] = ()
    try:
        with ENTERING:
            kernel.enter(ns)
        payload, sockets = job(channel)
    except BaseException as error:
        payload = failure(error)
    reply(channel, payload, [sock.fileno() for sock in sockets])


class Child(ABC):
    """A child that was started, as its parent sees it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._how: str | None = None
        self._pidfd: int | None = None
        try:
            self._pidfd = kernel.open_pidfd(pid)
        except ProcessLookupError:
            pass  # it has ended, and somebody else has reaped it
        except OSError:  # no descriptor to spare
            self.end()
            raise

    @property
    def ending(self) -> int | None:
        """A descriptor that becomes readable when the child ends, where there is one."""
        return self._pidfd

    def end(self) -> str:
        """Kill the child unless it has ended, reap it, and return how it ended."""
        if self._how is None:
            with contextlib.suppress(ProcessLookupError):  # it has ended
                if self._pidfd is None:
                    os.kill(self.pid, signal.SIGKILL)
                else:
                    signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
            self._how = self._reap()
            if self._pidfd is not None:
                os.close(self._pidfd)
        return self._how

    @abstractmethod
    def _reap(self) -> str: ...


def receive_answer(
    channel: socket.socket, child: Child, ns: Target, mode: str, *, call: bool = False, timeout: float | None = None
) -> tuple[bytes, list[int]]:
    """Wait for the child's answer, and end the child.

    :param call: it first tells that it has begun; ``timeout`` (seconds, ``None`` for no limit) counts from then.
    :return: the answer's bytes and descriptors, which the caller owns.
    :raises NetNSError: there is none.
    """
    waited: float | None = ns.child_timeout
    remedy = "if the machine is just slow, raise --netns-child-timeout"
    try:
        answer = fdpass.receive(channel, kernel.monotonic() + ns.child_timeout, child.ending)
        if call and answer[0] == BEGUN:
            waited, remedy = timeout, "give it a longer timeout, or none"
            channel.settimeout(None)
            answer = fdpass.receive(channel, None if timeout is None else kernel.monotonic() + timeout, child.ending)
        return answer
    except (fdpass.Closed, ConnectionResetError):
        raise ChildDiedError(errno.ECHILD, f"{ns}: the {mode} child ended before it answered, {child.end()}") from None
    except fdpass.Garbage as garbage:
        raise ChildProtocolError(errno.EPROTO, f"{ns}: the {mode} child answered garbage: {garbage}") from None
    except TimeoutError:
        text = f"{ns}: the {mode} child did not answer within {waited:g} s and was killed; {remedy}"
        raise NetNSTimeoutError(errno.ETIMEDOUT, text) from None
    except OSError as error:
        raise from_errno(error.errno or 0, f"{ns}: cannot take the answer of the {mode} child") from error
    finally:
        child.end()


class OneChildPerCall(ABC):
    """A child mode that starts a child for each call."""

    name: str

    @abstractmethod
    def _start(self, ns: Target, job: Job) -> tuple[socket.socket, Child]:
        """Start a child on a job; return the channel on which it answers, owned by the caller, and the child."""

    def sockets(self, ns: Target, specs: Sequence[Spec]) -> list[int]:
        channel, child = self._start(ns, MakeSockets(specs))
        with channel:
            return checked(*receive_answer(channel, child, ns, self.name), ns)[1]

    def call(
        self,
        ns: Target,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        timeout: float | None,
    ) -> Any:
        channel, child = self._start(ns, CallFunction(func, args, kwargs))
        with channel:
            payload, fds = receive_answer(channel, child, ns, self.name, call=True, timeout=timeout)
        if payload[:1] == UNPICKLABLE:
            raise UnpicklableError(f"{ns}: {payload[1:].decode()}; return something that can, sockets included")
        if payload[:1] == RAISED:
            error, text = self._load(ns, payload[1:], fds)
            error.__cause__ = ChildTraceback(text)
            raise error
        return self._load(ns, *checked(payload, fds, ns))

    def _load(self, ns: Target, pickled: bytes, fds: list[int]) -> Any:
        try:
            return values.load(pickled, fds)
        except Exception as error:
            raise UnpicklableError(
                f"{ns}: what the {self.name} child passed back cannot be unpickled: {error}"
            ) from error
