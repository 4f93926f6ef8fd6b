"""A network namespace: what identifies it, how long it lives, and what can be done in it."""

from __future__ import annotations

import contextlib
import errno
import functools
import posix as os  # see syscalls.py
import socket as stdlib
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, cast, overload

from .._arguments import check_callable, check_command, check_timeout
from .._child import CALL_MODES, check_mode
from .._child.modes import Modes
from .._errors import NetNSClosedError, NetNSError, NetNSLeakError, from_errno
from .._handle import Handle
from .._linux import entering, fdpass, syscalls
from . import sockets as handed_out
from .commands import Processes
from .sysctl import Sysctl
from .threads import Threads

if TYPE_CHECKING:
    import pyroute2
    from typing_extensions import Self, Unpack

    from .._child.mode_names import CallModeName, ChildModeName
    from . import command_types as types
    from .netlink import Netlink

__tracebackhide__ = True  # a failed test's report ends in the test; --full-trace shows the rest

P = ParamSpec("P")
T = TypeVar("T")


class MakeNetNS(Protocol):
    """What ``make_netns`` and ``netns_factory`` are: they make a namespace."""

    def __call__(
        self,
        label: str | None = None,
        *,
        name: str | None = None,
        lo: bool = True,
        sysctl: Mapping[str, str | int] | None = None,
        child_mode: ChildModeName | None = None,
        child_timeout: float | None = None,
    ) -> NetNS:
        """Make a namespace.

        :param label: what it is called in reports; by default its name, or a number.
        :param name: a name under /run/netns, where ``ip netns`` sees it; parallel workers add theirs to it.
        :param lo: whether its loopback interface is up.
        :param sysctl: sysctls to set in it, as ``{"net.ipv4.ip_forward": 1}``.
        :param child_mode: the child mode of its sockets; by default that of the test that runs.
        :param child_timeout: how long a child may take over one step in it, in seconds; by default the session's.
        :return: the namespace, owned by the caller; it is closed with the test, or the session, if it is open then.
        :raises NetNSError: it cannot be made.
        :raises ValueError: an option is wrong.
        """


MakeNetNS.__module__ = "pytest_netns"  # not in its body, where it would be a part of the protocol


class NetNS:
    """A network namespace that this process holds by a descriptor, and everything that was opened in it.

    It is made by the fixtures, and closed by them; it is a context manager too. After ``close()`` any use but of its
    identity raises ``NetNSClosedError``.
    """

    __module__ = "pytest_netns"

    def __new__(cls, modes: object = None, *_: object, **__: object) -> Self:
        if not isinstance(modes, Modes):
            raise TypeError(
                "a NetNS is made by the fixtures: let the test ask for netns, or for make_netns and call that; a "
                "fixture of a wider scope asks for netns_factory"
            )
        return super().__new__(cls)

    def __init__(
        self,
        modes: Modes,
        handle: Handle,
        *,
        child_mode: str | None,
        thread_timeout: float | None,
        on_closed: Callable[[], object],
        on_output: Callable[[str, str], object],
        make_netlink: Callable[[Callable[[int], stdlib.socket]], Netlink],
    ) -> None:
        self.label = handle.label
        self.name: str | None = None
        self._handle = handle
        self._modes = modes
        self._child_mode = child_mode
        self._pid = os.getpid()
        self._lock = threading.RLock()
        self._netlink_lock = threading.Lock()
        self._is_closing = False
        self._make_netlink = make_netlink
        self._netlink: Netlink | None = None
        self._sysctl = Sysctl(self._ask_sysctl)
        self._sockets = handed_out.Sockets()
        self._threads = Threads(self._copy_fd, handle, thread_timeout)
        self._processes = Processes(handle, modes.resident, on_output)
        self._is_judged = thread_timeout is not None
        self._callbacks: list[Callable[[], object]] = []
        self._to_undo: list[Callable[[], object]] = [
            on_closed,
            self._close_fd,
            self._let_go,
            self._sockets.close,
            self._end_threads_and_netlink,
            self._processes.check_strays,
            self._processes.close,
            self._threads.leave,
            self._call_back,
            self._threads.cancel,
        ]
        """What ``close`` has to do still; the last comes first."""
        self._last_steps = self._to_undo[:3]

    # Identity

    def fileno(self) -> int:
        """Return the descriptor of the namespace, which it goes on to own; after ``close()`` -1, as of a socket."""
        self._expect_processes()
        return -1 if self._is_closing else self._handle.fd

    @property
    def path(self) -> Path:
        """A path to the namespace, good for ``ip``, ``nsenter`` and ``pyroute2.IPRoute(netns=str(ns.path))``."""
        fd = self._checked_fd()
        self._expect_processes()
        return Path(f"/proc/{self._pid}/fd/{fd}")

    @property
    def inode(self) -> int:
        """The inode that identifies the namespace, as ``readlink /proc/PID/ns/net`` shows it."""
        return self._handle.identity[1]

    @property
    def closed(self) -> bool:
        """Whether ``close()`` was called."""
        return self._is_closing

    @property
    def child_timeout(self) -> float:
        """How long a child may take over one step in it, in seconds."""
        return self._handle.child_timeout

    @child_timeout.setter
    def child_timeout(self, seconds: float) -> None:
        self._handle.child_timeout = seconds

    @property
    def child_mode(self) -> ChildModeName:
        """The child mode that makes this namespace's sockets where none is named."""
        return cast("ChildModeName", self._child_mode or self._modes.current())

    def __str__(self) -> str:
        return str(self._handle)

    def __repr__(self) -> str:
        state = "closed" if self.closed else f"inode={self.inode}"
        return f"<NetNS {self.label!r} {state}>"

    def __reduce__(self) -> Any:
        raise TypeError(f"{self} belongs to this process; pass its sockets, or str(ns.path), instead")

    # Sockets

    def socket(
        self,
        family: int = stdlib.AF_INET,
        type: int = stdlib.SOCK_STREAM,
        proto: int = 0,
        *,
        child_mode: ChildModeName | None = None,
    ) -> stdlib.socket:
        """Make a socket in the namespace, with the arguments of ``socket.socket``.

        :param child_mode: how the child is started that makes it; by default :attr:`child_mode`.
        :return: a plain socket, close-on-exec, owned by the caller; what the caller leaves open is closed with the
            namespace.
        :raises NetNSError: it cannot be made.
        """
        return self.sockets(((family, type, proto),), child_mode=child_mode)[0]

    def sockets(
        self, specs: Iterable[tuple[int, ...]], *, child_mode: ChildModeName | None = None
    ) -> list[stdlib.socket]:
        """Make many sockets with one child.

        :param specs: for each socket a tuple of up to three, the first arguments of :meth:`socket`.
        :param child_mode: as of :meth:`socket`.
        :return: the sockets, in the order of the specs; as of :meth:`socket`. Either all are made or none.
        :raises NetNSError: one cannot be made.
        :raises TypeError: a spec is none; or ``ValueError``, if a number in it is out of range.
        """
        self._checked_fd()
        asked = handed_out.checked_specs(specs)
        mode = self._modes[self.child_mode if child_mode is None else check_mode(child_mode)]
        received = fdpass.Received()
        try:
            mode.sockets(self._handle, asked, received)
            return self._sockets.adopt(received, asked, self._handle)
        except BaseException:
            received.close()
            raise

    def create_server(
        self,
        address: tuple[Any, ...],
        *,
        family: int = stdlib.AF_INET,
        backlog: int | None = None,
        reuse_port: bool = False,
        dualstack_ipv6: bool = False,
    ) -> stdlib.socket:
        """Make a listening TCP socket in the namespace, with the arguments of ``socket.create_server``.

        :return: as of :meth:`socket`.
        :raises OSError: as ``socket.create_server``, with the address and the namespace in its text.
        """
        return handed_out.create_server(
            self._maker(),
            address,
            family=family,
            backlog=backlog,
            reuse_port=reuse_port,
            dualstack_ipv6=dualstack_ipv6,
        )

    def create_connection(
        self,
        address: tuple[str | None, int],
        timeout: float | None = handed_out.DEFAULT_TIMEOUT,
        source_address: tuple[Any, ...] | None = None,
        *,
        all_errors: bool = False,
    ) -> stdlib.socket:
        """Connect to a TCP server from the namespace, with the arguments of ``socket.create_connection``.

        A host name, or a link such as ``%eth0`` behind an address, is looked up inside the namespace.

        :param timeout: for each address, in seconds; the socket keeps it.
        :return: as of :meth:`socket`.
        :raises OSError: as ``socket.create_connection``, with the address and the namespace in its text.
        """
        return handed_out.create_connection(
            self._maker(), address, timeout=timeout, source_address=source_address, all_errors=all_errors
        )

    # Code

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
            return cast("T", self._modes[child_mode].call(self._handle, func, args, kwargs, timeout))
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
    def popen(self, args: Any, **kwargs: Any) -> subprocess.Popen[Any]:
        """Start a command in the namespace, with the arguments of ``subprocess.Popen``.

        :return: the process, owned by the caller; one that still runs when the namespace is closed gets SIGTERM, and
            two seconds later SIGKILL, with what it has started. What it wrote to a pipe and nobody has read is in the
            report of a failed test.
        :raises OSError: as ``subprocess.Popen``.
        """
        self._checked_fd()
        check_command(args)
        return self._processes.popen(args, **kwargs)

    # Netlink

    @property
    def ipr(self) -> pyroute2.IPRoute:
        """This namespace's ``pyroute2.IPRoute`` for the calling thread, closed with that thread or the namespace.

        It works in a coroutine too, where it blocks the event loop for the length of a request.
        """
        with self._netlink_told():
            return self._get_netlink().ipr

    def iproute(self, **kwargs: Any) -> pyroute2.IPRoute:
        """Make a further ``pyroute2.IPRoute`` in the namespace, with its arguments.

        :return: the object, owned by the caller; each thread's part of it is closed at that thread's end, the whole of
            it with the namespace.
        """
        with self._netlink_told():
            return self._get_netlink().iproute(**kwargs)

    def async_iproute(self, **kwargs: Any) -> pyroute2.AsyncIPRoute:
        """Make a ``pyroute2.AsyncIPRoute`` in the namespace, with its arguments, for one event loop.

        :return: as of :meth:`iproute`.
        """
        with self._netlink_told():
            return self._get_netlink().async_iproute(**kwargs)

    @property
    def sysctl(self) -> Sysctl:
        """The sysctls of the namespace: ``ns.sysctl["net.ipv4.ip_forward"] = 1``."""
        self._checked_fd()
        return self._sysctl

    # Lifetime

    def close(self) -> None:
        """End the namespace's processes, close what was opened in it, remove its name and let go of it.

        Closing it again does nothing, but for what an earlier call did not come to, or could not do: that is tried
        again. In a forked child, it closes the child's own copies only.

        :raises NetNSError: something could not be undone; the rest was.
        """
        with self._lock:
            self._is_closing = True
            if os.getpid() != self._pid:
                del self._to_undo[:]  # it is the parent's
                self._sockets.close()
                self._close_fd()
                return
            with contextlib.ExitStack() as stack:
                for step in self._to_undo:
                    stack.callback(self._undo, step)

    @property
    def _is_gone(self) -> bool:
        """Whether nothing is left to be closed."""
        return not self._to_undo

    def _undo(self, step: Callable[[], object]) -> None:
        if step in self._last_steps and step is not self._to_undo[-1]:
            return  # the resident child and its journal are to know the namespace until all else is done
        try:
            step()
        except NetNSLeakError:
            self._to_undo.remove(step)  # who leaks is named once
            raise
        self._to_undo.remove(step)

    def _let_go(self) -> None:
        self._modes.resident.forget(self._handle)

    def _close_fd(self) -> None:
        fd, self._handle.fd = self._handle.fd, -1  # forgotten before it is closed
        if fd >= 0:
            os.close(fd)

    def _descriptors(self) -> set[int]:
        """Return the descriptors of the namespace, and of what is open in it and will be closed with it."""
        netlink = set() if self._netlink is None else self._netlink.descriptors()
        return {self._handle.fd, *self._sockets.descriptors(), *netlink, *self._processes.descriptors()}

    def _on_close(self, func: Callable[..., object], *args: Any) -> None:
        """Have a function called when the namespace is closed, before what has been opened in it so far is closed."""
        self._callbacks.append(functools.partial(func, *args))

    def _call_back(self) -> None:
        with contextlib.ExitStack() as stack:
            while self._callbacks:
                stack.callback(self._callbacks.pop(0))

    def _expect_processes(self) -> None:
        """Have processes looked for inside when the namespace is closed, since there may be some."""
        if self._is_judged:
            self._processes.may_be_there = True

    def _is_entered(self) -> None:
        """Have threads that are inside looked for when the namespace is closed, whoever has started them."""
        self._threads.was_entered = True

    def __enter__(self) -> Self:
        self._checked_fd()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _checked_fd(self) -> int:
        if self._is_closing:
            raise NetNSClosedError(errno.EBADF, f"{self} is closed; a namespace ends with the fixture that made it")
        return self._handle.fd

    def _maker(self) -> handed_out.Maker:
        return handed_out.Maker(self.socket, self._look_up, str(self))

    def _copy_fd(self, fds: list[int]) -> None:
        """Add a new descriptor of the namespace to a list, one that no other thread can close with the namespace."""
        try:
            syscalls.keep(fds, os.dup, self._checked_fd())
        except OSError as error:
            self._checked_fd()  # it was closed meanwhile
            raise from_errno(error.errno or 0, f"{self}: cannot copy its descriptor") from error
        self._checked_fd()  # else the number may have been that of another file when it was copied

    def _look_up(self, *arguments: Any) -> list[Any]:
        if entering.is_below(self._checked_fd(), self):
            from .resolver import by_program

            return by_program(self.run, *arguments)
        return self.call(stdlib.getaddrinfo, *arguments)

    def _end_threads_and_netlink(self) -> None:
        netlink = self._netlink
        holders = set() if netlink is None else netlink.holders()
        alive = self._threads.wait(holders)
        try:
            if netlink is not None:
                netlink.close()
        finally:
            if alive:
                raise self._threads.blame(alive, holders)

    def _get_netlink(self) -> Netlink:
        with self._netlink_lock:  # not that which close() holds as it waits for threads such as this
            self._checked_fd()
            if self._netlink is None:
                self._netlink = self._make_netlink(self._make_netlink_socket)
            return self._netlink

    @contextlib.contextmanager
    def _netlink_told(self) -> Iterator[None]:
        try:
            yield
        except NetNSError:
            raise
        except OSError as error:
            raise from_errno(error.errno or 0, f"{self}: cannot make a pyroute2 object") from error

    def _ask_sysctl(self, verb: bytes, *arguments: str) -> str:
        self._checked_fd()
        return self._modes.resident.sysctl(self._handle, verb, *arguments)

    def _make_netlink_socket(self, family: int) -> stdlib.socket:
        return self.socket(stdlib.AF_NETLINK, stdlib.SOCK_DGRAM, family)
