"""The parent's side of the resident child: it starts on first use, serves all threads, and is replaced if it dies."""

from __future__ import annotations

import contextlib
import errno
import marshal
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import fdpass, kernel
from ..errors import (
    ChildDiedError,
    ChildModeError,
    ChildProtocolError,
    NetNSClosedError,
    NetNSError,
    NetNSTimeoutError,
    from_errno,
)
from . import CALL_MODES, program
from .answer import checked
from .process import Gone, Process
from .protocol import Spec, Target

__tracebackhide__ = True  # a failed test's report ends in the test; --full-trace shows the rest


class Resident:
    """The child mode ``resident``, which also makes the namespaces that the other modes enter.

    :param home: a descriptor of the namespace in which the child waits; the caller keeps it open.
    :param timeout: how long the child may take over one request, in seconds.
    :param userns: whether it makes a user namespace for itself: ``off``, ``auto`` (as it must) or ``resident``.
    """

    name = "resident"

    def __init__(self, home: int, timeout: float, userns: str = "auto") -> None:
        self._home = home
        self._userns = {"off": program.NEVER, "auto": program.IF_NEEDED, "resident": program.ALWAYS}[userns]
        self._mounts = -1
        self._timeout = timeout
        self._record_number = int.from_bytes(os.urandom(4), "little")
        self._pid = os.getpid()
        self._process: Process | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._namespaces: dict[int, tuple[int, str | None]] = {}

    @property
    def mounts(self) -> int | None:
        """A descriptor, not to be closed, of the mount namespace in which names are seen, if not in that of all."""
        return None if self._mounts < 0 else self._mounts

    @property
    def pid(self) -> int | None:
        """The pid of the child, or ``None`` where none runs."""
        process = self._process
        return None if process is None else process.pid

    def descriptors(self) -> set[int]:
        """Return the descriptors that belong to the child that runs."""
        process = self._process
        own = set(self._of_namespaces())
        return own if process is None else own | process.descriptors()

    def _of_namespaces(self) -> list[int]:
        return [fd for fd in (self._userns, self._mounts) if fd >= 0]

    # Namespaces

    def create(self, key: int, what: str, *, lo: bool, sysctl: Mapping[str, str], timeout: float) -> int:
        """Make a namespace.

        :param key: the number by which it is known from now on, until :meth:`forget`.
        :param what: how to call it in an error.
        :return: its descriptor, owned by the caller, who keeps it open until after :meth:`forget`.
        """
        try:
            _, fds = self._ask(program.request(program.CREATE, key, lo, dict(sysctl)), timeout, what)
        except BaseException:
            self.forget(key, what, timeout)  # it may be made, and only its descriptor not have come through
            raise
        self._namespaces[key] = (fds[0], None)
        if self._userns in (program.IF_NEEDED, program.ALWAYS):
            self._keep_user_namespace(fds[0])
        return fds[0]

    def _keep_user_namespace(self, ns: int) -> None:
        """Keep the user namespace of the child, if it has one, for the child that may have to replace it."""
        with self._lock:
            if self._userns < 0:
                self._userns = kernel.owner_of(ns) if kernel.is_owned_below(ns) else program.NEVER

    def bind(self, key: int, name: str, what: str, timeout: float) -> None:
        """Give a namespace a name under /run/netns, without privilege one that only the child and commands see."""
        if self._userns >= 0:
            self._own_names(timeout, what)
        fd, _ = self._namespaces[key]
        self._namespaces[key] = (fd, name)  # before it is there: a child that takes over may find it half made
        try:
            self._ask(program.request(program.BIND, key, name), timeout, what)
        except (ChildDiedError, ChildProtocolError, NetNSTimeoutError):
            raise
        except BaseException:
            self._namespaces[key] = (fd, None)
            raise

    def _own_names(self, timeout: float, what: str) -> None:
        """Keep the mount namespace of the child with its names, for commands and the child that may replace it."""
        if self._mounts >= 0:
            return
        _, (mounts,) = self._ask(program.request(program.OWN_NAMES), timeout, what)
        with self._lock:
            if self._mounts < 0:
                self._mounts, mounts = mounts, -1
        if mounts >= 0:  # another thread was faster
            os.close(mounts)

    def forget(self, key: int, what: str, timeout: float) -> None:
        """Let the child let go of a namespace and remove its name."""
        _, name = self._namespaces.get(key, (None, None))
        try:
            if name is not None:
                request = program.request(program.FORGET, key)
                try:
                    self._ask(request, timeout, what)
                except (ChildDiedError, ChildProtocolError, NetNSTimeoutError):
                    self._ask(request, timeout, what)  # of the child that takes over: the name must not stay
            elif self._process is not None:
                with contextlib.suppress(Gone):  # then it holds nothing any more
                    self._process.tell(program.FORGET, key)
        finally:
            self._namespaces.pop(key, None)

    def still_there(self) -> set[int]:
        """Return the keys of the namespaces that are not gone, as far as the child that runs knows of them."""
        if self._process is None:
            return set()
        payload, _ = self._ask(program.request(program.STILL_THERE), self._timeout, "the closed namespaces")
        keys: set[int] = marshal.loads(payload)
        return keys

    def sockets(self, ns: Target, specs: Sequence[Spec]) -> list[int]:
        request = program.request(program.SOCKETS, ns._key, list(specs))
        return self._ask(request, ns.child_timeout, ns)[1]

    def call(
        self,
        ns: Target,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        timeout: float | None,
    ) -> Any:
        raise ChildModeError(
            "the resident child has the standard library only and cannot run a function of yours; "
            f"give one of {', '.join(CALL_MODES)} as child_mode, or none to run it in a thread"
        )

    def sysctl(self, ns: Target, verb: bytes, *arguments: str) -> str:
        """Read, write or list sysctls of a namespace."""
        payload, _ = self._ask(program.request(verb, ns._key, *arguments), ns.child_timeout, ns)
        return payload.decode(errors="replace")

    # The child

    def _ask(self, request: bytes, timeout: float, what: object) -> tuple[bytes, list[int]]:
        process = self._running(what)
        try:
            try:
                answer = process.ask(request, timeout)
            except Gone:
                self._discard(process)
                process = self._running(what)
                answer = process.ask(request, timeout)
        except (Gone, fdpass.Closed):
            ended = self._discard(process)
            raise ChildDiedError(
                errno.ECHILD, f"{what}: the resident child ended before it answered, {ended}"
            ) from None
        except fdpass.Garbage as garbage:
            self._discard(process)
            raise ChildProtocolError(errno.EPROTO, f"{what}: the resident child answered garbage: {garbage}") from None
        except (TimeoutError, BlockingIOError):
            self._discard(process)
            raise NetNSTimeoutError(
                errno.ETIMEDOUT,
                f"{what}: the resident child did not answer within {timeout:g} s and was killed; "
                "if the machine is just slow, raise --netns-child-timeout",
            ) from None
        except OSError as error:
            raise from_errno(error.errno or 0, f"{what}: cannot ask the resident child") from error
        try:
            return checked(*answer, what)
        except ChildProtocolError:
            self._discard(process)
            raise

    def _running(self, what: object) -> Process:
        if os.getpid() != self._pid:
            raise NetNSError(
                f"{what}: its resident child serves process {self._pid}, and this is a forked child of it; "
                "make the socket before the fork, or give child_mode='fork'"
            )
        with self._lock:
            if self._closed:  # by another thread: nobody would end a child that is started now
                raise NetNSClosedError(errno.EBADF, f"{what}: the session has ended")
            if self._process is None:
                try:
                    self._process = Process(self._home, self._record_number, self._userns, self._mounts)
                except OSError as error:
                    raise from_errno(error.errno or 0, f"{what}: cannot start the resident child") from error
                for key, (fd, name) in list(self._namespaces.items()):
                    with contextlib.suppress(Gone):  # told by the first request
                        self._process.tell(program.ADOPT, key, name, fd=fd)
            return self._process

    def _discard(self, process: Process) -> str:
        with self._lock:
            if self._process is process:
                self._process = None
            return process.kill()

    def close(self) -> None:
        """End the child, if one runs; in a forked child of the test process, leave it to the parent."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            self._closed = True
            process, self._process = self._process, None
            fdpass.close_all(self._of_namespaces())
            self._userns, self._mounts = program.NEVER, -1
            if process is not None:
                process.close(self._timeout)
