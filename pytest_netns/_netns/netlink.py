"""pyroute2's objects, fed with sockets of a namespace and closed in each thread that used them.

This is the only module that imports pyroute2, and it is imported when the first of these objects is asked for. What has
to be closed where is pyroute2's design: per thread, an object keeps a socket and, after ``bind()``, an event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import selectors
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pyroute2
from pyroute2.netlink import core
from pyroute2.netlink.core import MAGIC_CLOSE

from .._errors import NetNSClosedError, NetNSOSError, NetNSUnsupportedError, is_meant
from .._linux.sockets import Socket
from .parts import Loop, Parts

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

MakeSocket = Callable[[int], socket.socket]
"""Makes an AF_NETLINK socket of the namespace, of a netlink family such as NETLINK_ROUTE."""

NETLINK_OPTIONS_OF_OURS = ("fileno", "netns", "use_socket", "target")
_KEPT = (core.os,)  # in a tuple, since pyfakefs looks for modules by whatever name


@contextlib.contextmanager
def _real_things() -> Iterator[None]:
    """Put back, for the length of a block, what pyroute2 makes a socket with, where a test has replaced it."""
    given, given_os = socket.socket, core.os
    if given is Socket and given_os is _KEPT[0]:
        yield
        return
    socket.socket, core.os = Socket, _KEPT[0]  # type: ignore[misc]
    try:
        yield
    finally:
        socket.socket, core.os = given, given_os  # type: ignore[misc]


class _Core(pyroute2.AsyncIPRoute):
    """An ``AsyncIPRoute`` that takes its sockets from a namespace."""

    def __init__(self, make: MakeSocket, *, own_loop: bool, **kwargs: Any) -> None:
        self._make = make
        self._own_loop = own_loop
        self.threads = Parts(_close_socket)
        self._making = threading.Lock()
        super().__init__(**kwargs)

    def setup_socket(self) -> Any:
        with self._making:  # the descriptor goes by way of the object's specification
            # Not by spec["fileno"], which takes all of the status out and puts it back, while other threads read that.
            self.spec.config.fileno = self._make(self.spec["family"]).detach()
            with _real_things():
                return super().setup_socket()

    @property
    def socket(self) -> Any:
        with _real_things():
            return super().socket

    def setup_event_loop(self) -> asyncio.AbstractEventLoop:
        part = self.threads.here()
        running = asyncio._get_running_loop()
        if not hasattr(selectors, "EpollSelector"):
            text = "pyroute2 needs asyncio with epoll, which gevent has removed; start pytest without that"
            raise NetNSUnsupportedError(errno.EOPNOTSUPP, text)
        with part.in_use():
            part.own_loop = self._own_loop or running is None
            part.loop = loop = Loop(part) if self._own_loop else super().setup_event_loop()
        part.check()
        return loop

    async def setup_endpoint(self) -> None:
        part = self.threads.here()
        if part.loop is not None and part.loop is not asyncio.get_running_loop():
            raise NetNSOSError(
                errno.EBADF,
                "this AsyncIPRoute belongs to another event loop, where its answers would arrive; "
                "make one for each loop",
            )
        await super().setup_endpoint()
        with part.in_use():
            part.transport = self.local.transport
            part.sock = self.local.socket
        if not self._own_loop:  # else the loop sees to it
            part.check()

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

    def close(self, code: int = errno.ECONNRESET) -> None:
        # As pyroute2.IPRoute, but for the moment in which other threads would not find the key.
        dict.__setitem__(self.asyncore.status, "closed", True)
        self.asyncore.close(code)

    def _cleanup_transport(self) -> None:
        with self.asyncore.threads.in_use():
            # Else it is cleaned up, perhaps by another thread, and must not be again.
            if not self.asyncore.status["closed"]:
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
            for made in list(self._open):
                stack.callback(self._close, made)

    def _close(self, made: Any) -> None:
        made.close()
        with contextlib.suppress(ValueError):  # another thread may close them, too
            self._open.remove(made)


def _close_socket(sock: Any) -> None:
    sock.magic = MAGIC_CLOSE
    sock.close()


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
