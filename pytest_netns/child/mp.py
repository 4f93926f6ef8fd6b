"""The child modes ``mp`` and ``mp:<start method>``: a ``multiprocessing.Process`` for each call."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import posix as os  # see kernel.py
import signal
import socket
import threading
from collections.abc import Callable, Mapping
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from typing import Any, NoReturn

from .. import fdpass, inside, kernel, values
from ..errors import NetNSError, NetNSTimeoutError, from_errno, how_it_ended
from . import task
from .answer import Step, failure, reply
from .fork import ready_to_fork
from .protocol import Target

__tracebackhide__ = True  # a failed test's report ends in the test; --full-trace shows the rest


def run_received(channel: socket.socket) -> NoReturn:
    """Be a child that inherited nothing: receive the namespace and the job, and run it."""
    try:
        try:
            with Step("unpickle the function in the child"):
                payload, fds = fdpass.receive(channel)
                ns = fds.pop(0)
                job = values.load(payload, fds)
        except BaseException as error:
            reply(channel, failure(error), ())
        else:
            task.run(channel, ns, job)
    finally:
        os._exit(1)


class Started(task.Child):
    """A child of ``multiprocessing``."""

    def __init__(self, process: BaseProcess, timeout: float) -> None:
        assert process.pid is not None
        self._process = process
        self._timeout = timeout
        super().__init__(process.pid)

    @property
    def ending(self) -> int | None:
        return super().ending if self._pidfd is not None else self._process.sentinel

    def _reap(self) -> str:
        self._process.join(self._timeout)
        code = self._process.exitcode
        if code is not None:
            self._process.close()
        return how_it_ended(code)


class Multiprocessing(task.OneChildPerCall):
    """One ``multiprocessing.Process`` for each call.

    :param method: the start method; ``None`` for the one that the program has set.
    :param home: a descriptor of the namespace that the helpers of ``multiprocessing`` belong in, wherever the calling
        thread is: started inside a namespace, they would stay there and keep it.
    """

    def __init__(self, method: str | None, home: int) -> None:
        self.name = "mp" if method is None else f"mp:{method}"
        self._method = method
        self._home = home

    def call(
        self,
        ns: Target,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        timeout: float | None,
    ) -> Any:
        method = self._start_method()
        if method != "fork":
            values.check_picklable(method, func, args, kwargs)
        return super().call(ns, func, args, kwargs, timeout)

    def _start(self, ns: Target, job: task.Job) -> tuple[socket.socket, task.Child]:
        try:
            ours, theirs = fdpass.pair()
            with theirs:
                try:
                    return ours, self._begin(ns, job, ours, theirs)
                except BaseException:
                    ours.close()
                    raise
        except OSError as error:
            if isinstance(error, NetNSError):
                raise
            raise from_errno(error.errno or 0, f"{ns}: cannot start a child") from error

    def _begin(self, ns: Target, job: task.Job, ours: socket.socket, theirs: socket.socket) -> Started:
        if self._start_method() == "fork":
            return self._fork(ns, job, theirs)
        return self._spawn(ns, job, ours, theirs)

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

    def _fork(self, ns: Target, job: task.Job, theirs: socket.socket) -> Started:
        with ready_to_fork() as handled:
            process = self._process(task.run, theirs, ns.fileno(), job, os.getpid(), handled)
            process.start()
            return Started(process, ns.child_timeout)

    def _spawn(self, ns: Target, job: task.Job, ours: socket.socket, theirs: socket.socket) -> Started:
        pickled, sockets = values.dump(job)
        process = self._process(run_received, theirs)
        self._start_at_home(process, ns)
        child = Started(process, ns.child_timeout)
        try:
            ours.settimeout(ns.child_timeout)
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it died; receiving the answer tells how
                fdpass.send(ours, pickled, [ns.fileno(), *(sock.fileno() for sock in sockets)])
        except BaseException:
            child.end()
            raise
        return child

    def _start_at_home(self, process: BaseProcess, ns: Target) -> None:
        """Start a child from a thread that is at home, and give up if the fork server does not answer."""
        raised: list[BaseException] = []
        starter = kernel.thread_id()

        def start() -> None:
            try:
                if kernel.namespace_id("/proc/thread-self/ns/net") != kernel.namespace_id(self._home):
                    inside.enter_in_thread(starter, self._home, "the namespace of the test process")
                process.start()
            except BaseException as error:
                raised.append(error)

        thread = threading.Thread(target=start, name=f"netns-start-{self.name}", daemon=True)
        thread.start()
        thread.join(ns.child_timeout)
        if thread.is_alive():
            _kill_fork_server()
            thread.join(ns.child_timeout)
            text = f"{ns}: the {self.name} child did not start within {ns.child_timeout:g} s"
            raise NetNSTimeoutError(errno.ETIMEDOUT, f"{text}; its fork server, if it has one, was killed") from None
        if raised:
            raise raised[0]


def _kill_fork_server() -> None:
    # The one place that reaches into multiprocessing: nothing public ends a fork server that hangs.
    pid = getattr(forkserver._forkserver, "_forkserver_pid", None)
    if pid is not None:
        os.kill(pid, signal.SIGKILL)
        # Until it has ended, multiprocessing takes it for one that runs, and asks it again. It is to reap it, too.
        with contextlib.suppress(ChildProcessError):
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
