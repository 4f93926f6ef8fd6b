"""What an object of pyroute2 keeps for each thread that uses it: an event loop, a transport and a socket.

Each part is closed by its thread as that ends, or by whoever closes the object, in whichever thread that is.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import posix as os  # see syscalls.py
import selectors
import socket
import threading
import weakref
from asyncio import selector_events
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from .._child.background import shielded
from .._errors import NetNSClosedError, is_meant
from .._linux import fdpass

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


class Loop(asyncio.SelectorEventLoop):
    """An event loop that runs also where another one is running in the same thread, which then waits.

    pyroute2's synchronous objects run a loop of their own for each request, which asyncio refuses to do in a coroutine.
    """

    def __init__(self, part: Part) -> None:
        self._pid = os.getpid()
        self._part = part
        self._epoll = selectors.EpollSelector()
        super().__init__(self._epoll)

    def _make_self_pipe(self) -> None:
        # As asyncio has it, which would take the socket.socketpair() of a test that has replaced it.
        ends: list[Any] = []
        fdpass.pair(ends, socket.SOCK_STREAM)
        self._ssock, self._csock = ends
        self._ssock.setblocking(False)
        self._csock.setblocking(False)
        self._internal_fds = 1
        self._add_reader(self._ssock.fileno(), self._read_from_self)  # type: ignore[attr-defined]

    def be_of_this_process(self) -> None:
        """In a forked child, watch by an epoll of its own: the inherited one is the parent's too (epoll(7))."""
        if self._pid == os.getpid():
            return
        self._pid, shared, self._epoll = os.getpid(), self._epoll, selectors.EpollSelector()
        for key in shared.get_map().values():
            self._epoll.register(key.fileobj, key.events, key.data)
        shared.close()
        self._selector = self._epoll

    def descriptors(self) -> set[int]:
        """Return those of the loop itself, with the pair of sockets by which other threads wake it."""
        try:
            return {self._epoll.fileno(), self._ssock.fileno(), self._csock.fileno()}
        except (AttributeError, ValueError):
            return set()  # its thread has just closed it

    def run_until_complete(self, future: Any) -> Any:
        self.be_of_this_process()
        with self._part.in_use():
            if self._part.ends and asyncio.iscoroutine(future):
                future.close()  # else Python complains that nobody has awaited it
            self._part.check()
            return self.run_to_the_end(future)

    def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:  # type: ignore[override]
        try:
            return super().call_soon_threadsafe(callback, *args, context=context)
        except RuntimeError:
            if not self.is_closed():
                raise
            # Its thread has closed it since it was asked whether it is, and there is nobody to call any more.
            return asyncio.Handle(callback, args, self, context)

    def run_to_the_end(self, future: Any) -> Any:
        """Run it, also where the part of a thread that it belongs to is being closed."""
        with _outer_loop_aside():
            return super().run_until_complete(future)


@contextlib.contextmanager
def _outer_loop_aside() -> Iterator[None]:
    outer = asyncio._get_running_loop()
    if outer is None:
        yield
        return
    # Since 3.12 the running task is put aside by its loop; since 3.14 a thread can have only one (gh-128002).
    swap = getattr(asyncio.tasks, "_swap_current_task", None)
    task = None if swap is None else swap(outer, None)
    asyncio._set_running_loop(None)
    try:
        yield
    finally:
        asyncio._set_running_loop(outer)
        if swap is not None:
            swap(outer, task)


class Part:
    """What one object keeps for one thread.

    Another thread may close it. Where its own is at work with it then, that closes it as soon as it has done.

    :param close_socket: closes the socket.
    """

    def __init__(self, close_socket: Callable[[Any], object]) -> None:
        self._close_socket = close_socket
        self._use = threading.RLock()
        self._depth = 0
        self.ends = False
        """Whether somebody wants it closed."""
        self.thread = threading.get_ident()
        self._pid = os.getpid()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.own_loop = False
        self.transport: Any = None
        self.sock: Any = None
        self.end: weakref.finalize[..., _Sentinel] | None = None

    def descriptors(self) -> set[int]:
        loop, sock = self.loop, self.sock
        found = set() if sock is None else {sock.fileno()}
        if self.own_loop and isinstance(loop, Loop) and not loop.is_closed():
            found |= loop.descriptors()
        return found

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Have no other thread close it for the length of a block."""
        try:
            with self._use:
                self._depth += 1
                try:
                    yield
                finally:
                    self._depth -= 1
        finally:
            if self.ends:  # looked at when it is not in use any more: who wanted it closed saw that it was
                self.close()

    def check(self) -> None:
        """Close what has come since it was closed by another thread, and say so.

        :raises NetNSClosedError: it was.
        """
        if self.ends:
            with self.in_use():  # at whose end it is closed
                pass
            raise NetNSClosedError(errno.EBADF, "this object of pyroute2 is closed, or its namespace is")

    def close(self) -> None:
        """Close it: in its own thread, when that has ended, or at last from the one that ends the namespace."""
        self.ends = True
        if self._use.acquire(blocking=False):
            try:
                if not self._depth:  # else this thread has it in use
                    self._close()
            finally:
                self._use.release()
            return
        loop, transport = self.loop, self.transport
        if loop is not None and transport is not None:
            with contextlib.suppress(RuntimeError):  # it has just been closed by its thread
                loop.call_soon_threadsafe(transport.abort)

    def _close(self) -> None:
        loop, transport, sock = self.loop, self.transport, self.sock
        self.loop = self.transport = self.sock = None
        if isinstance(loop, Loop) and not loop.is_closed():
            loop.be_of_this_process()
        elif self._pid != os.getpid():
            loop = None  # that of a program which forked watches by an epoll that is the parent's too
        if transport is not None:
            _close_transport(transport, loop)
        if loop is not None and self.own_loop and not loop.is_closed() and not loop.is_running():
            if isinstance(loop, Loop):
                loop.run_to_the_end(loop.shutdown_asyncgens())
            else:
                with _outer_loop_aside():
                    loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
        if sock is not None:
            self._close_socket(sock)


def _close_transport(transport: Any, loop: asyncio.AbstractEventLoop | None) -> None:
    turns = loop is not None and loop.is_running()
    if not turns and isinstance(transport, selector_events._SelectorTransport):  # type: ignore[attr-defined]
        # No turn of the loop may come that would end the transport, which then complains when it is collected.
        if transport._sock is not None:
            if loop is not None and not loop.is_closed():
                loop._remove_reader(transport._sock_fd)  # type: ignore[attr-defined]
            transport._call_connection_lost(None)
    elif loop is not None and not loop.is_closed():
        transport.abort()


class Parts:
    """What one object keeps, thread by thread; each part is closed when its thread ends.

    A part is closed by the thread that takes it out: another may close all of them while its own ends. It takes no
    lock, since the garbage collector may end a part in a thread that holds it.

    :param close_socket: closes the socket of a part.
    """

    def __init__(self, close_socket: Callable[[Any], object]) -> None:
        self._close_socket = close_socket
        self._local = threading.local()
        self._all: dict[Part, None] = {}
        self._closed = False

    def here(self) -> Part:
        """Return the part of the calling thread."""
        part: Part | None = getattr(self._local, "part", None)
        if part is None:
            part = self._local.part = Part(self._close_socket)
            self._all[part] = None
            # The values of a threading.local are finalised in their thread, as it ends.
            self._local.sentinel = sentinel = _Sentinel()
            part.end = weakref.finalize(sentinel, self._thread_ends, part)
            part.end.atexit = False
            if self._closed:  # looked at last: either this thread sees it, or that which closes sees the part
                part.close()
        part.check()
        return part

    def _thread_ends(self, part: Part) -> None:
        self._all.pop(part, None)
        part.close()

    def descriptors(self) -> set[int]:
        return {fd for part in list(self._all) for fd in part.descriptors()}

    def in_use(self) -> AbstractContextManager[None]:
        """Have no other thread close the part of the calling thread for the length of a block."""
        part: Part | None = getattr(self._local, "part", None)
        return contextlib.nullcontext() if part is None else part.in_use()

    def idents(self) -> set[int]:
        """Return the identifiers of the threads that hold a part, and have not ended."""
        return {part.thread for part in list(self._all)}

    def close(self) -> None:
        self._closed = True
        for part in list(self._all):
            # Neither asyncio's nor pyroute2's code stands a signal handler that raises in the middle of it.
            shielded(part.close)
            if part.end is not None:
                part.end.detach()  # else it keeps this object until the thread ends, so for ever in the main thread
            self._all.pop(part, None)


class _Sentinel:
    """Dies with its thread."""
