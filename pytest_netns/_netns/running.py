"""Code and commands that run inside a namespace."""

from __future__ import annotations

import functools
import subprocess
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast, overload

from .._arguments import check_callable, check_command, check_timeout
from .._child import CALL_MODES, check_mode
from .._child.protocol import Call
from .._errors import is_meant
from .._linux import entering
from .endpoints import Endpoints

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from .._child.mode_names import CallModeName
    from . import command_types as types

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

READY_TIMEOUT = 10.0  # seconds

P = ParamSpec("P")
T = TypeVar("T")


class Running(Endpoints):
    """A namespace in which functions, threads and commands run."""

    def enter(self) -> AbstractContextManager[None]:
        """Move the calling thread into the namespace for the length of a ``with`` block.

        Threads and processes that are started in the block begin, and stay, in the namespace. In a coroutine, let the
        block contain no ``await``: what runs meanwhile in this thread would be inside too.

        :raises NetNSPermissionError: the process may not.
        """
        self._checked_fd()
        self._expect_processes()
        return self._threads.enter()

    # The function's arguments are checked only where no option of ours is given: a ParamSpec leaves no room for them
    # (PEP 612).
    @overload
    def call(
        self,
        func: Callable[..., T],
        /,
        *args: Any,
        child_mode: CallModeName | None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> T: ...
    @overload
    def call(
        self,
        func: Callable[..., T],
        /,
        *args: Any,
        child_mode: CallModeName | None = None,
        timeout: float | None,
        **kwargs: Any,
    ) -> T: ...
    @overload
    def call(self, func: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T: ...
    def call(  # type: ignore[misc]  # the function may have arguments of these names too, which it does not get
        self,
        func: Callable[..., T],
        /,
        *args: Any,
        child_mode: CallModeName | None = None,
        timeout: float | None = None,
        **kwargs: Any,
    ) -> T:
        """Run a function inside the namespace and return its value.

        :param child_mode: run it in a child of this mode (``fork``, ``mp`` or ``mp:<start method>``), with its value
            pickled and the sockets in it passed as descriptors; by default in a thread that ends with it.
        :param timeout: how long it may take, in seconds; by default there is no limit. A child is then killed, a thread
            left alone.
        :return: what the function returns, which the caller owns.
        :raises BaseException: what the function raises; from a child, with the traceback there as its cause.
        :raises UnpicklableError: the function, an argument or the value cannot cross.
        :raises NetNSTimeoutError: the function took too long.
        """
        self._checked_fd()
        check_callable(func, "what to call")
        if timeout is not None:
            check_timeout(timeout, "timeout")
        self._expect_processes()
        if child_mode is not None:
            self._checked_fd()
            check_mode(child_mode, valid=CALL_MODES, what="child mode that can call a function")
            return cast("T", self._modes[child_mode].call(self._handle, Call(func, args, kwargs, timeout)))
        return entering.call(self._copy_fd, self._handle, functools.partial(func, *args, **kwargs), timeout)

    def thread(
        self,
        group: None = None,
        target: Callable[..., object] | None = None,
        name: str | None = None,
        args: Iterable[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
        *,
        daemon: bool | None = None,
    ) -> threading.Thread:
        """Make a thread that runs inside the namespace, with the arguments of ``threading.Thread``.

        :return: the thread, which the caller starts. Closing the namespace waits for it, up to ``netns_thread_timeout``
            seconds, and fails if it still runs then. What it has used of pyroute2 is closed as it ends.
        """
        entering.check(self._copy_fd, self._handle)
        if target is not None:
            check_callable(target, "target")
        self._expect_processes()
        return self._threads.thread(group=group, target=target, name=name, args=args, kwargs=kwargs, daemon=daemon)

    def executor(
        self,
        max_workers: int | None = None,
        thread_name_prefix: str = "",
        initializer: Callable[..., object] | None = None,
        initargs: tuple[Any, ...] = (),
    ) -> ThreadPoolExecutor:
        """Make a pool of threads that run inside the namespace, with the arguments of ``ThreadPoolExecutor``.

        :return: the pool, owned by the caller. Closing the namespace shuts it down: what has not begun is cancelled,
            and its threads are waited for as :meth:`thread` has it.
        """
        entering.check(self._copy_fd, self._handle)
        if initializer is not None:
            check_callable(initializer, "initializer")
        self._expect_processes()
        return self._threads.executor(max_workers, thread_name_prefix or f"{self.label}-pool", initializer, initargs)

    # Commands

    @overload
    def run(self, args: types.Command, **kwargs: Unpack[types.RunText]) -> subprocess.CompletedProcess[str]: ...
    @overload
    def run(
        self, args: types.Command, **kwargs: Unpack[types.RunUniversalNewlines]
    ) -> subprocess.CompletedProcess[str]: ...
    @overload
    def run(self, args: types.Command, **kwargs: Unpack[types.RunEncoding]) -> subprocess.CompletedProcess[str]: ...
    @overload
    def run(self, args: types.Command, **kwargs: Unpack[types.RunErrors]) -> subprocess.CompletedProcess[str]: ...
    @overload
    def run(self, args: types.Command, **kwargs: Unpack[types.RunBytes]) -> subprocess.CompletedProcess[bytes]: ...
    @overload
    def run(self, args: types.Command, **kwargs: Unpack[types.RunEither]) -> subprocess.CompletedProcess[Any]: ...
    def run(self, args: Any, **kwargs: Any) -> subprocess.CompletedProcess[Any]:
        """Run a command in the namespace and wait for it, with the arguments of ``subprocess.run``.

        :raises OSError: as ``subprocess.run``.
        :raises subprocess.SubprocessError: likewise.
        """
        self._checked_fd()
        check_command(args)
        return self._processes.run(args, **kwargs)

    @overload
    def popen(self, args: types.Command, **kwargs: Unpack[types.PopenText]) -> subprocess.Popen[str]: ...
    @overload
    def popen(self, args: types.Command, **kwargs: Unpack[types.PopenUniversalNewlines]) -> subprocess.Popen[str]: ...
    @overload
    def popen(self, args: types.Command, **kwargs: Unpack[types.PopenEncoding]) -> subprocess.Popen[str]: ...
    @overload
    def popen(self, args: types.Command, **kwargs: Unpack[types.PopenErrors]) -> subprocess.Popen[str]: ...
    @overload
    def popen(self, args: types.Command, **kwargs: Unpack[types.PopenBytes]) -> subprocess.Popen[bytes]: ...
    @overload
    def popen(self, args: types.Command, **kwargs: Unpack[types.PopenEither]) -> subprocess.Popen[Any]: ...
    def popen(
        self, args: Any, *, ready: Any = None, ready_timeout: float = READY_TIMEOUT, **kwargs: Any
    ) -> subprocess.Popen[Any]:
        """Start a command in the namespace, with the arguments of ``subprocess.Popen``.

        :param ready: wait until the command is ready: what :func:`listening`, :func:`output`, :func:`notified` or
            :func:`inherited` returns, a function without arguments that then returns something true, or a list of
            these, all of which are waited for. By default it returns as soon as the command runs.
        :param ready_timeout: how long that may take, in seconds.
        :return: the process, owned by the caller; one that still runs when the namespace is closed gets SIGTERM, and
            two seconds later SIGKILL, with what it has started. What it wrote to a pipe and nobody has read is in the
            report of a failed test.
        :raises OSError: as ``subprocess.Popen``.
        :raises ProgramDiedError: it ended before it was ready.
        :raises NetNSTimeoutError: it was not ready in time; it has been ended.
        """
        self._checked_fd()
        check_command(args)
        if ready is None:
            return self._processes.popen(args, **kwargs)
        from . import waiting

        return waiting.popen(waiting.Program(self, self._processes, ready, ready_timeout), args, kwargs)
