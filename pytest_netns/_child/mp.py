"""The child modes ``mp`` and ``mp:<start method>``: a ``multiprocessing.Process`` for each call."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import posix as os  # see syscalls.py
import socket
import traceback
from collections.abc import Callable
from multiprocessing import reduction
from multiprocessing.process import BaseProcess
from typing import Any, NoReturn

from .._errors import NetNSTimeoutError, is_meant
from .._handle import Handle
from .._linux import entering, fdpass, syscalls
from .._multiprocessing_parts import kill_fork_server, mark_reaped
from . import pickling
from .background import Background
from .fork import ReadyToFork
from .job import Job, run
from .one_per_call import OneChildPerCall
from .process import KILL_TIMEOUT, Child
from .protocol import Call
from .reply import Step, failure, reply

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


def run_received(channel: fdpass.Channel) -> NoReturn:
    """Be a child that inherited nothing: receive the namespace and the job, and run it."""
    try:
        try:
            with Step("unpickle the function in the child"):
                received = fdpass.Received()
                payload = fdpass.receive(channel, received)
                ns = received.fds.pop(0)
                job = pickling.load(payload, received)
        except BaseException as error:
            reply(channel, failure(error), ())
        else:
            run(channel, ns, job)
    finally:
        os._exit(1)


class _Passed:
    """A channel that a child gets which does not inherit it."""

    def __init__(self, channel: fdpass.Channel) -> None:
        self._channel = channel

    def __reduce__(self) -> Any:
        return _open_passed, (reduction.DupFd(self._channel.fileno()),)


def _open_passed(passed: Any) -> fdpass.Channel:
    return fdpass.Channel(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, passed.detach())


class Started(Child):
    """A child of ``multiprocessing``.

    :param is_ours: whether it is a child of this process, and not of the fork server.
    """

    def __init__(self, handle: Handle, *, is_ours: bool) -> None:
        super().__init__(handle)
        self.process: Any = None
        self._is_ours = is_ours
        self._exitcode: int | None = None

    @property
    def pid(self) -> int | None:
        pid: int | None = None if self.process is None else self.process.pid
        return pid

    @property
    def ending(self) -> int | None:
        if self._pidfds or self.process is None:
            return super().ending
        sentinel: int = self.process.sentinel
        return sentinel

    def _has_ended(self) -> bool:
        if self.process is None or self.process.pid is None:
            return True
        was_seen_to_end = self._is_seen_to_end()
        self._exitcode = self.process.exitcode
        if self._exitcode is None:
            if not (was_seen_to_end and self._is_ours):
                return False
            # Somebody else has reaped it: multiprocessing would wait for it, with its pipes open, for ever.
            mark_reaped(self.process)
        self.process.close()
        self.process = None
        return True

    def _code(self) -> int | None:
        return self._exitcode


class Multiprocessing(OneChildPerCall):
    """One ``multiprocessing.Process`` for each call.

    :param method: the start method; ``None`` for the one that the program has set.
    :param original_ns: a descriptor of the namespace that the helpers of ``multiprocessing`` belong in, wherever the
        calling thread is: started inside another, they would stay there and keep it.
    """

    def __init__(self, method: str | None, original_ns: int) -> None:
        self.name = "mp" if method is None else f"mp:{method}"
        self._method = method
        self._original_ns = original_ns

    def call(self, handle: Handle, asked: Call) -> Any:
        method = self._start_method()
        if method != "fork":
            pickling.check_picklable(method, asked.func, asked.args, asked.kwargs)
        return super().call(handle, asked)

    def _child(self, handle: Handle) -> Started:
        return Started(handle, is_ours=self._start_method() != "forkserver")

    def _start(self, child: Started, handle: Handle, job: Job) -> None:
        if self._start_method() == "fork":
            ready = ReadyToFork()
            try:
                ready.begin()
                arguments = child.ends[1], handle.fd, job, os.getpid(), ready.handled
                child.process = self._process(run, *arguments)
                child.process.start()
                ready.end()
            except BaseException:
                ready.end()
                raise
        else:
            self._spawn(child, handle, job)

    def _start_method(self) -> str:
        # Without allow_none, and by a context without a method, to ask would set it for good.
        return (
            self._method
            or multiprocessing.get_start_method(allow_none=True)
            or multiprocessing.get_all_start_methods()[0]  # the default
        )

    def _process(self, target: Callable[..., NoReturn], *args: object) -> BaseProcess:
        context: Any = multiprocessing.get_context(self._start_method())
        process: BaseProcess = context.Process(target=target, args=args, name=f"netns-{self.name}-child")
        return process

    def _spawn(self, child: Started, handle: Handle, job: Job) -> None:
        pickled, sockets = pickling.dump(job)
        ours, theirs = child.ends
        child.process = self._process(run_received, _Passed(theirs))
        self._start_outside(child.process, handle)
        theirs.close()
        ours.settimeout(handle.child_timeout)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it died; receiving the answer tells how
            fdpass.send(ours, pickled, [handle.fd, *(sock.fileno() for sock in sockets)])

    def _start_outside(self, process: BaseProcess, handle: Handle) -> None:
        """Start a child from a thread in the original namespace; fail if the fork server does not answer."""
        starter = syscalls.thread_id()

        def start() -> None:
            if syscalls.namespace_id("/proc/thread-self/ns/net") != syscalls.namespace_id(self._original_ns):
                entering.enter_in_thread(starter, self._original_ns, "the namespace of the test process")
            try:
                process.start()
            except BaseException as error:  # whose frames have the pipes to the child, as long as somebody has it
                traceback.clear_frames(error.__traceback__)
                raise

        starting = Background(start)
        try:
            has_started = starting.wait(handle.child_timeout)
        except BaseException:  # a signal handler's: the child is to be known by its process, to be ended
            starting.wait(handle.child_timeout)
            raise
        if not has_started:
            kill_fork_server()
            starting.wait(max(handle.child_timeout, KILL_TIMEOUT))
            text = f"{handle}: the {self.name} child did not start within {handle.child_timeout:g} s"
            raise NetNSTimeoutError(errno.ETIMEDOUT, f"{text}; its fork server, if it has one, was killed") from None
        starting.result()
