"""pyroute2's objects, fed with sockets of a namespace and closed in each thread that used them.

This is the only module that imports pyroute2, and it is imported when the first of these objects is asked for. What has
to be closed where is pyroute2's design: per thread, an object keeps a socket and, after ``bind()``, an event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import selectors
import socket
import threading
import weakref
from asyncio import selector_events
from collections.abc import Callable, Iterator
from typing import Any

import pyroute2
from pyroute2.netlink.core import MAGIC_CLOSE

from .errors import NetNSClosedError, NetNSOSError

__tracebackhide__ = True  # a failed test's report ends in the test; --full-trace shows the rest

MakeSocket = Callable[[int], socket.socket]
"""Makes an AF_NETLINK socket of the namespace, of a netlink family such as NETLINK_ROUTE."""

NETLINK_OPTIONS_OF_OURS = ("fileno", "netns", "use_socket", "target")


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that runs also where another one is running in the same thread, which then waits.

    pyroute2's synchronous objects run a loop of their own for each request, which asyncio refuses to do in a coroutine.
    """

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._epoll = selectors.EpollSelector()
        super().__init__(self._epoll)

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
        return {self._epoll.fileno(), *(key.fd for key in self._epoll.get_map().values()), self._csock.fileno()}  # type: ignore[attr-defined]

    def run_until_complete(self, future: Any) -> Any:
        self.be_of_this_process()
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


class _InThread:
    """What one object keeps for one thread."""

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self._pid = os.getpid()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.own_loop = False
        self.transport: Any = None
        self.sock: Any = None
        self.end: weakref.finalize[..., _Sentinel] | None = None

    def descriptors(self) -> set[int]:
        found = set() if self.sock is None else {self.sock.fileno()}
        if self.own_loop and isinstance(self.loop, _Loop) and not self.loop.is_closed():
            found |= self.loop.descriptors()
        return found

    def close(self) -> None:
        """Close it: in its own thread, when that has ended, or at last from the one that ends the namespace."""
        loop, transport, sock = self.loop, self.transport, self.sock
        self.loop = self.transport = self.sock = None
        if isinstance(loop, _Loop) and not loop.is_closed():
            loop.be_of_this_process()
        elif self._pid != os.getpid():
            loop = None  # that of a program which forked watches by an epoll that is the parent's too
        if transport is not None:
            _close_transport(transport, loop)
        if loop is not None and self.own_loop and not loop.is_closed() and not loop.is_running():
            with _outer_loop_aside():
                loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
        if sock is not None:
            sock.magic = MAGIC_CLOSE
            sock.close()


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


class _Threads:
    """What one object keeps, thread by thread; each part is closed when its thread ends.

    A part is closed by the thread that takes it out: another may close all of them while its own ends. It takes no
    lock, since the garbage collector may end a part in a thread that holds it.
    """

    def __init__(self) -> None:
        self._local = threading.local()
        self._all: dict[_InThread, None] = {}
        self.lock = threading.Lock()

    def here(self) -> _InThread:
        """Return the part of the calling thread."""
        part: _InThread | None = getattr(self._local, "part", None)
        if part is None:
            part = self._local.part = _InThread()
            self._all[part] = None
            # The values of a threading.local are finalised in their thread, as it ends.
            self._local.sentinel = sentinel = _Sentinel()
            part.end = weakref.finalize(sentinel, self._thread_ends, part)
            part.end.atexit = False
        return part

    def _thread_ends(self, part: _InThread) -> None:
        try:
            del self._all[part]
        except KeyError:  # another thread closes it
            return
        part.close()

    def descriptors(self) -> set[int]:
        return {fd for part in list(self._all) for fd in part.descriptors()}

    def idents(self) -> set[int]:
        """Return the identifiers of the threads that hold a part, and have not ended."""
        return {part.thread for part in list(self._all)}

    def close(self) -> None:
        while True:
            try:
                part, _ = self._all.popitem()
            except KeyError:  # there is none any more
                return
            if part.end is not None:
                part.end.detach()  # else it keeps this object until the thread ends, so for ever in the main thread
            part.close()


class _Sentinel:
    """Dies with its thread."""


class _Core(pyroute2.AsyncIPRoute):
    """An ``AsyncIPRoute`` that takes its sockets from a namespace."""

    def __init__(self, make: MakeSocket, *, own_loop: bool, **kwargs: Any) -> None:
        self._make = make
        self._own_loop = own_loop
        self.threads = _Threads()
        super().__init__(**kwargs)

    def setup_socket(self) -> Any:
        with self.threads.lock:  # the descriptor goes by way of the object's specification
            self.spec["fileno"] = self._make(self.spec["family"]).detach()
            return super().setup_socket()

    def setup_event_loop(self) -> asyncio.AbstractEventLoop:
        part = self.threads.here()
        running = asyncio._get_running_loop()
        part.own_loop = self._own_loop or running is None
        part.loop = _Loop() if self._own_loop else super().setup_event_loop()
        return part.loop

    async def setup_endpoint(self) -> None:
        part = self.threads.here()
        if part.loop is not None and part.loop is not asyncio.get_running_loop():
            raise NetNSOSError(
                errno.EBADF,
                "this AsyncIPRoute belongs to another event loop, where its answers would arrive; "
                "make one for each loop",
            )
        await super().setup_endpoint()
        part.transport = self.local.transport
        part.sock = self.local.socket

    def close(self, *args: Any) -> None:
        self.threads.close()
        for name in ("transport", "protocol", "event_loop"):  # closed above; pyroute2 is not to close them again
            if hasattr(self.local, name):
                delattr(self.local, name)
        super().close(*args)


class _IPRoute(pyroute2.IPRoute):
    """An ``IPRoute`` on top of :class:`_Core`."""

    def __init__(self, make: MakeSocket, **kwargs: Any) -> None:
        # As pyroute2.IPRoute, which names the class of its core.
        self.asyncore = _Core(make, own_loop=True, **kwargs)
        self.asyncore.status["event_loop"] = "new"
        self.asyncore.local.keep_event_loop = True
        self.asyncore.event_loop.run_until_complete(self.asyncore.setup_endpoint())

    def _cleanup_transport(self) -> None:
        if not self.asyncore.status[
            "closed"
        ]:  # else it is cleaned up, perhaps by another thread, and must not be again
            super()._cleanup_transport()


class Netlink:
    """The netlink objects of one namespace, closed with it."""

    def __init__(self, make: MakeSocket) -> None:
        self._make = make
        self._open: list[Any] = []
        self._closed = False
        self._local = threading.local()

    @property
    def ipr(self) -> pyroute2.IPRoute:
        ipr: pyroute2.IPRoute | None = getattr(self._local, "ipr", None)
        if ipr is None or ipr.status["closed"]:
            ipr = self._local.ipr = self.iproute()
        return ipr

    def iproute(self, **kwargs: Any) -> pyroute2.IPRoute:
        return self._keep(_IPRoute(self._make, **_checked(kwargs)))

    def async_iproute(self, **kwargs: Any) -> pyroute2.AsyncIPRoute:
        return self._keep(_Core(self._make, own_loop=False, **_checked(kwargs)))

    def _keep(self, made: Any) -> Any:
        self._open.append(made)
        if self._closed:  # looked at last: either this thread sees it, or that which closes sees the object
            self.close()
            raise NetNSClosedError(errno.EBADF, "the namespace was closed while this object of pyroute2 was made")
        return made

    def descriptors(self) -> set[int]:
        """Return the descriptors of the objects that are open, those of their event loops included."""
        return {fd for made in list(self._open) for fd in _core(made).threads.descriptors()}

    def holders(self) -> set[int]:
        """Return the identifiers of the threads that hold an object, or their part of one."""
        return {ident for made in list(self._open) for ident in _core(made).threads.idents()}

    def close(self) -> None:
        """Close them, and those that are made from now on."""
        self._closed = True
        with contextlib.ExitStack() as stack:
            while True:
                try:
                    made = self._open.pop()
                except IndexError:  # another thread may close them, too
                    return
                stack.callback(made.close)


def _core(made: Any) -> _Core:
    core: _Core = getattr(made, "asyncore", made)
    return core


def _checked(kwargs: dict[str, Any]) -> dict[str, Any]:
    for name in NETLINK_OPTIONS_OF_OURS:
        if name in kwargs:
            raise TypeError(f"{name!r} cannot be given: the object belongs to the namespace that makes it")
    return kwargs


@contextlib.contextmanager
def child_process_mode(mode: str) -> Iterator[None]:
    """Have pyroute2 start its own children in this way, until the end."""
    config = pyroute2.config
    saved, config.child_process_mode = config.child_process_mode, mode
    try:
        yield
    finally:
        config.child_process_mode = saved
