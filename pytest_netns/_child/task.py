"""What a child of the modes ``fork`` and ``mp`` does, and how its parent waits for the answer.

The child is given the namespace and a job, and answers once over its channel; for a function, it says before that it
has begun. It then ends by ``os._exit``, whatever was raised in it, so that nothing of its parent's (exit handlers,
buffers, a second run of the test session) can run in it.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import posix as os  # see syscalls.py
import select
import signal
import socket
import sys
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from .. import _causes
from .._errors import (
    ChildCallError,
    ChildDiedError,
    ChildProtocolError,
    NetNSError,
    NetNSTimeoutError,
    UnpicklableError,
    from_errno,
    how_it_ended,
)
from .._handle import Handle
from .._linux import fdpass, sockets, syscalls
from . import pickling
from .protocol import Spec
from .reply import CREATING_SOCKET, ENTERING, OK, checked, failure, reply

__tracebackhide__ = True  # a failed test's report ends in the test; --full-trace shows the rest

BEGUN, RAISED, UNPICKLABLE = b".", b"!", b"?"
KILL_TIMEOUT = 5.0  # seconds for the kernel to end what was killed
FIRST_PAUSE, LAST_PAUSE = 0.0005, 0.02  # seconds between two looks at a child, where no descriptor tells of its end


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
    text = "".join(traceback.format_exception(error))
    try:
        pickled, _ = pickling.dump((error, text))
        # An exception with an __init__ of its own may pickle and not unpickle.
        pickling.load(pickled, fdpass.Received())
        return pickled
    except Exception as reason:
        stand_in = ChildCallError(f"{type(error).__qualname__}: {error} (it cannot be passed back as itself: {reason})")
        return pickling.dump((stand_in, text))[0]


class ChildTraceback(Exception):
    """The cause of an exception that a child raised; its text is the traceback there."""

    def __str__(self) -> str:
        return f"\n\n{self.args[0]}"


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


class Child(ABC):
    """A child for one call: it is there before its process is, so that this has an owner from its start on.

    :param handle: the namespace that it is for.
    """

    def __init__(self, handle: Handle) -> None:
        self._handle = handle
        self.ends: list[fdpass.Channel] = []
        """Our end of the channel, and the child's."""
        self._pidfds: list[int] = []
        self._how: str | None = None

    @property
    @abstractmethod
    def pid(self) -> int | None:
        """Its pid, or ``None`` where it is not started."""

    @abstractmethod
    def _has_ended(self) -> bool:
        """Reap it if it has ended; return whether it has, or there is nothing to reap."""

    @abstractmethod
    def _code(self) -> int | None:
        """Return its exit code, as of ``subprocess``, or ``None`` where somebody else has reaped it."""

    @property
    def ending(self) -> int | None:
        """A descriptor that becomes readable when the child ends, where there is one."""
        return self._pidfds[0] if self._pidfds else None

    def watch(self) -> None:
        """Open what tells of its end."""
        assert self.pid is not None
        try:
            syscalls.keep(self._pidfds, os.pidfd_open, self.pid)
        except ProcessLookupError:
            return  # it has ended, and somebody else has reaped it
        except OSError as error:
            if error.errno not in (errno.ENOSYS, errno.EPERM):  # as of kernel.open_pidfd
                raise

    def end(self) -> str:
        """Kill the child unless it has ended, reap it, and return how it ended."""
        if self._how is None:
            self._kill()
            self._how = (
                how_it_ended(self._code()) if self._wait() else f"and, killed, did not within {KILL_TIMEOUT:g} s"
            )
        return self._how

    def _kill(self) -> None:
        pid = self.pid
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):  # it has ended
            if self._pidfds:
                signal.pidfd_send_signal(self._pidfds[0], signal.SIGKILL)
            elif not self._has_ended():
                os.kill(pid, signal.SIGKILL)

    def _wait(self) -> bool:
        """Wait for its end; it was killed, and takes its time only where it waits for a disk or a mount."""
        deadline = syscalls.monotonic() + KILL_TIMEOUT
        pause = FIRST_PAUSE
        while not self._has_ended():
            if syscalls.monotonic() >= deadline:
                return False
            if self._pidfds and not self._is_seen_to_end():
                select.select(self._pidfds, (), (), deadline - syscalls.monotonic())
            else:
                syscalls.sleep(pause)
                pause = min(2 * pause, LAST_PAUSE)
        return True

    def _is_seen_to_end(self) -> bool:
        return bool(self._pidfds and select.select(self._pidfds, (), (), 0)[0])

    def close(self) -> None:
        """End it, and close what was open for it."""
        try:
            self.end()
        finally:
            for end in self.ends:
                end.close()
            syscalls.close_all(self._pidfds)


class OneChildPerCall(ABC):
    """A child mode that starts a child for each call."""

    name: str

    @abstractmethod
    def _child(self, handle: Handle) -> Child:
        """Return a child that is not started."""

    @abstractmethod
    def _start(self, child: Any, handle: Handle, job: Job) -> None:
        """Start a child on a job, which answers over the second end of its channel."""

    def sockets(self, handle: Handle, specs: Sequence[Spec], received: fdpass.Received) -> None:
        checked(self._run(handle, MakeSockets(specs), received), handle)

    def call(
        self,
        handle: Handle,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        timeout: float | None,
    ) -> Any:
        received = fdpass.Received()
        try:
            payload = self._run(handle, CallFunction(func, args, kwargs), received, call=True, timeout=timeout)
            if payload[:1] == UNPICKLABLE:
                raise UnpicklableError(f"{handle}: {payload[1:].decode()}; return something that can, sockets included")
            if payload[:1] == RAISED:
                error, text = self._load(handle, payload[1:], received)
                error.__cause__ = ChildTraceback(text)
                raise error
            return self._load(handle, checked(payload, handle), received)
        except BaseException:
            received.close()
            raise

    def _run(
        self,
        handle: Handle,
        job: Job,
        received: fdpass.Received,
        *,
        call: bool = False,
        timeout: float | None = None,
    ) -> bytes:
        """Have a child do a job; return its answer."""
        child = self._child(handle)
        try:
            self._start_on(child, handle, job)
            answer = self._receive_answer(child, handle, received, call=call, timeout=timeout)
            child.close()
        except BaseException:
            child.close()  # what a signal handler has kept from being closed above, too
            raise
        return answer

    def _start_on(self, child: Child, handle: Handle, job: Job) -> None:
        try:
            fdpass.pair(child.ends)
            self._start(child, handle, job)
            child.ends[1].close()
            child.watch()
        except OSError as error:
            if isinstance(error, NetNSError):
                raise
            raise from_errno(error.errno or 0, f"{handle}: cannot start a child", step=_causes.STARTING) from error

    def _receive_answer(
        self,
        child: Child,
        handle: Handle,
        received: fdpass.Received,
        *,
        call: bool = False,
        timeout: float | None = None,
    ) -> bytes:
        """Wait for the child's answer, and end the child.

        :param received: what owns the descriptors that come with it.
        :param call: it first tells that it has begun; ``timeout`` (seconds, ``None`` for no limit) counts from then.
        :return: its bytes.
        :raises NetNSError: there is none.
        """
        channel = child.ends[0]
        waited: float | None = handle.child_timeout
        remedy = "if the machine is just slow, raise --netns-child-timeout"
        try:
            answer = fdpass.receive(channel, received, syscalls.monotonic() + handle.child_timeout, child.ending)
            if call and answer == BEGUN:
                waited, remedy = timeout, "give it a longer timeout, or none"
                channel.settimeout(None)
                deadline = None if timeout is None else syscalls.monotonic() + timeout
                answer = fdpass.receive(channel, received, deadline, child.ending)
            return answer
        except (fdpass.Closed, ConnectionResetError):
            text = f"{handle}: the {self.name} child ended before it answered, {child.end()}"
            raise ChildDiedError(errno.ECHILD, text) from None
        except fdpass.Garbage as garbage:
            raise ChildProtocolError(
                errno.EPROTO, f"{handle}: the {self.name} child answered garbage: {garbage}"
            ) from None
        except TimeoutError:
            text = f"{handle}: the {self.name} child did not answer within {waited:g} s and was killed; {remedy}"
            raise NetNSTimeoutError(errno.ETIMEDOUT, text) from None
        except OSError as error:
            raise from_errno(error.errno or 0, f"{handle}: cannot take the answer of the {self.name} child") from error

    def _load(self, handle: Handle, pickled: bytes, received: fdpass.Received) -> Any:
        try:
            return pickling.load(pickled, received)
        except Exception as error:
            raise UnpicklableError(
                f"{handle}: what the {self.name} child passed back cannot be unpickled: {error}"
            ) from error
