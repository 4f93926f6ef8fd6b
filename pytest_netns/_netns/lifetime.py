"""What a namespace has open, and how that is closed."""

from __future__ import annotations

import contextlib
import errno
import functools
import posix as os  # see syscalls.py
import socket as stdlib
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from .._capture.recorder import Recorder
from .._child.modes import Modes
from .._errors import NetNSClosedError, NetNSLeakError, from_errno, is_meant
from .._handle import Handle
from .._linux import syscalls
from .inside import Inside
from .lasting import LastingProcesses
from .names import Names
from .sockets import Sockets
from .threads import Threads

if TYPE_CHECKING:
    from typing_extensions import Self

    from .._child.mode_names import ChildModeName
    from .netlink import Netlink

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


class Lifetime:
    """A namespace that this process holds by a descriptor, from the time before it is made until nothing of it is left.

    :param modes: the child modes.
    :param handle: what identifies it.
    :param child_mode: that of its sockets; by default the one of the test that runs.
    :param thread_timeout: how long a thread may take to end, in seconds; ``None`` where it need not.
    :param on_closed: told when nothing is left.
    :param on_output: as of :class:`LastingProcesses`.
    :param make_netlink: makes what holds its netlink objects.
    :param inside: finds the host names of a network in threads that are inside.
    :param stays: asked at its end whether it outlives the session, with the programs in it.
    """

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
        inside: Inside,
        stays: Callable[[Lifetime], bool],
        recorder: Recorder,
    ) -> None:
        self.label: str = handle.label
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
        self._inside = inside
        self._stays = stays
        self._recorder = recorder
        self._sockets = Sockets()
        self._thread_timeout, self._on_output = thread_timeout, on_output
        self._threads = Threads(self._copy_fd, handle, thread_timeout)
        self._processes = LastingProcesses(handle, modes.resident, on_output)
        self._is_leak_checked = thread_timeout is not None
        self._callbacks: list[Callable[[], object]] = []
        self._last_steps: list[Callable[[], object]] = [on_closed, self._close_fd, self._let_go]
        self._to_undo = self._steps_to_undo()
        """What ``close`` has to do still; the last comes first."""

    def _steps_to_undo(self) -> list[Callable[[], object]]:
        return [
            *self._last_steps,
            self._drop_names,
            self._sockets.close,
            self._end_threads_and_netlink,
            self._processes.check_strays,
            self._processes.close,
            self._threads.leave,
            self._call_back,
            self._threads.cancel,
        ]

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
        return f"<{type(self).__name__} {self.label!r} {state}>"

    def __reduce__(self) -> Any:
        raise TypeError(f"{self} belongs to this process; pass its sockets, or str(ns.path), instead")

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
                for step in self._to_keep() if self._is_to_stay() else self._to_undo:
                    stack.callback(self._undo, step)

    def _is_to_stay(self) -> bool:
        """Whether it is kept, with the programs in it, when it is closed now."""
        return self._handle.fd >= 0 and self._stays(self)

    def _to_keep(self) -> list[Callable[[], object]]:
        """Return what to do where the namespace is kept: all that this process has there is closed, and no program."""
        self._processes.keep()
        self._modes.resident.unbind(self._handle)
        theirs = [*self._last_steps, self._drop_names, self._processes.check_strays, self._processes.close]
        return [step for step in self._to_undo if step not in theirs]

    def _empty(self) -> None:
        """End what runs inside and close what was opened in it, as :meth:`close` does, and go on with it after that.

        :raises NetNSError: something does not end; the namespace can be used all the same.
        """
        self._checked_fd()
        with self._lock, contextlib.ExitStack() as stack:
            stack.callback(self._renew)
            for step in self._to_undo[len(self._last_steps) :]:
                if step not in (self._call_back, self._drop_names):  # who wants to be told of its end, and what stays
                    stack.callback(step)

    def _renew(self) -> None:
        """Take new lists of what is open in it."""
        threads, processes = self._threads, self._processes
        self._netlink = None
        self._sockets = Sockets()
        self._threads = Threads(self._copy_fd, self._handle, self._thread_timeout)
        self._threads.was_entered = threads.was_entered  # somebody may not have left
        self._processes = LastingProcesses(self._handle, self._modes.resident, self._on_output)
        self._processes.may_be_there = processes.may_be_there  # something may not have ended
        self._processes.names = processes.names
        self._to_undo = self._steps_to_undo()

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
        if self._is_leak_checked:
            self._processes.may_be_there = True

    def _is_entered(self) -> None:
        """Have threads that are inside looked for when the namespace is closed, whoever has started them."""
        self._threads.was_entered = True

    # Host names

    @property
    def _names(self) -> Names | None:
        """Those of the network that it belongs to, if any."""
        return self._processes.names

    def _set_names(self, names: Names) -> None:
        """Have the host names of a network found here: by sockets, by commands, and by threads that are inside.

        :param names: they are shared by all namespaces of the network, and may be updated.
        """
        self._checked_fd()
        with self._lock:
            self._drop_names()
            names.begin()
            self._processes.names = names
            self._inside.add(self._handle.identity, names)

    def _drop_names(self) -> None:
        names, self._processes.names = self._processes.names, None
        if names is not None:
            self._inside.remove(self._handle.identity)
            names.end()

    def __enter__(self) -> Self:
        self._checked_fd()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _checked_fd(self) -> int:
        if self._is_closing:
            raise NetNSClosedError(errno.EBADF, f"{self} is closed; a namespace ends with the fixture that made it")
        return self._handle.fd

    def _copy_fd(self, fds: list[int]) -> None:
        """Add a new descriptor of the namespace to a list, one that no other thread can close with the namespace."""
        try:
            syscalls.keep(fds, os.dup, self._checked_fd())
        except OSError as error:
            self._checked_fd()  # it was closed meanwhile
            raise from_errno(error.errno or 0, f"{self}: cannot copy its descriptor") from error
        self._checked_fd()  # else the number may have been that of another file when it was copied

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
