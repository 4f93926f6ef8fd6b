"""The parent's side of the resident child: it starts on first use, serves all threads, and is replaced if it dies."""

from __future__ import annotations

import contextlib
import errno
import marshal
import posix as os  # see syscalls.py
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ... import _causes
from ..._errors import (
    ChildDiedError,
    ChildModeError,
    ChildProtocolError,
    NetNSClosedError,
    NetNSError,
    NetNSTimeoutError,
    from_errno,
)
from ..._handle import Handle
from ..._linux import fdpass, run_netns, syscalls
from .. import CALL_MODES
from ..background import Background
from ..protocol import Spec
from ..reply import checked
from . import requests
from .process import Gone, Process

__tracebackhide__ = True  # a failed test's report ends in the test; --full-trace shows the rest

PATIENCE = 5.0  # seconds for which a child that starts waits for others, and half the time-out at most
LOCK_PAUSE = 0.02  # seconds between two tries to bind a name


class Resident:
    """The child mode ``resident``, which also makes the namespaces that the other modes enter.

    :param home: a descriptor of the namespace in which the child waits; the caller keeps it open.
    :param timeout: how long the child may take over one request, in seconds.
    :param userns: whether it makes a user namespace for itself: ``off``, ``auto`` (as it must) or ``resident``.
    """

    name = "resident"

    def __init__(self, home: int, timeout: float, userns: str = "auto") -> None:
        self._home = home
        self._userns = {"off": requests.NEVER, "auto": requests.IF_NEEDED, "resident": requests.ALWAYS}[userns]
        self._mounts = -1
        self.without_journal = ""
        """Why not all namespaces are written down, for the case that this process and the child are both killed."""
        self._timeout = timeout
        self._record_number = int.from_bytes(os.urandom(4), "little")
        self._pid = os.getpid()
        self._process: Process | None = None
        self._start: Background | None = None
        self._dying: list[Process] = []  # that were killed, and had not ended soon after
        self._lock = threading.Lock()
        self._closed = False
        self._generation = 0  # of the children: each takes over from the one before
        self._namespaces: dict[int, Handle] = {}

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

    def create(self, handle: Handle, *, lo: int, sysctl: Mapping[str, str]) -> None:
        """Make a namespace, which the handle holds then; it is known by it until :meth:`forget`, also if this fails.

        :param lo: how much loopback it gets, ``DOWN``, ``UP`` or ``COMPLETE`` of :mod:`pytest_netns._linux.loopback`.
        """
        self._namespaces[handle.key] = handle
        generation = self._generation
        received = fdpass.Received()
        try:
            request = requests.request(requests.CREATE, handle.key, lo, dict(sysctl))
            self._note(self._ask(request, received, handle.child_timeout, handle))
            if not received.fds:
                raise ChildProtocolError(errno.EPROTO, f"{handle}: the resident child passed no namespace")
            handle.fd = received.fds[0]
            del received.fds[0]
        except BaseException:
            received.close()
            raise
        handle.identity = syscalls.namespace_id(handle.fd)
        if generation != self._generation:  # another child has taken over, perhaps before there was a descriptor
            self._adopt(handle)
        if self._userns in (requests.IF_NEEDED, requests.ALWAYS):
            self._keep_user_namespace(handle.fd)

    def _adopt(self, handle: Handle) -> None:
        process = self._process
        if process is not None:
            with contextlib.suppress(Gone):  # the next one is told as it starts
                process.tell(requests.ADOPT, handle.key, handle.name, fd=handle.fd)

    def _keep_user_namespace(self, ns: int) -> None:
        """Keep the user namespace of the child, if it has one, for the child that may have to replace it."""
        is_below, owners = syscalls.is_owned_below(ns), list[int]()
        with self._lock:
            if self._userns < 0:
                if is_below:
                    syscalls.open_owner(ns, owners)
                self._userns = owners[0] if is_below else requests.NEVER

    def bind(self, handle: Handle, name: str) -> None:
        """Give a namespace a name under /run/netns, without privilege one that only the child and commands see."""
        if self._userns >= 0:
            self._own_names(handle)
        handle.name = name  # before it is there: a child that takes over may find it half made
        try:
            self._bind(handle, name)
        except (ChildDiedError, ChildProtocolError, NetNSTimeoutError):
            raise
        except NetNSError:
            handle.name = None  # it is that of another, or cannot be
            raise

    def _bind(self, handle: Handle, name: str) -> None:
        """Let the child bind a name, as soon as nobody else has the directory locked; it does not wait itself."""
        deadline = syscalls.monotonic() + handle.child_timeout
        while True:
            answer = self._ask_text(requests.request(requests.BIND, handle.key, name), handle.child_timeout, handle)
            holder, trouble = marshal.loads(answer)
            self._note(trouble)
            if not holder:
                return
            if syscalls.monotonic() > deadline:
                raise NetNSTimeoutError(
                    errno.ETIMEDOUT,
                    f"{handle}: cannot bind the name {name}: {holder} has had {run_netns.DIRECTORY} locked for "
                    f"{handle.child_timeout:g} s (flock(2)); wait for its end, or end it",
                )
            syscalls.sleep(LOCK_PAUSE)

    def _note(self, trouble: bytes) -> None:
        if trouble and not self.without_journal:
            self.without_journal = trouble.decode(errors="replace")

    def _own_names(self, handle: Handle) -> None:
        """Keep the mount namespace of the child with its names, for commands and the child that may replace it."""
        received = fdpass.Received()
        try:
            if self._mounts < 0:
                self._ask(requests.request(requests.OWN_NAMES), received, handle.child_timeout, handle)
            with self._lock:
                if self._mounts < 0:  # no other thread was faster
                    self._mounts = received.fds[0]
                    del received.fds[0]
            received.close()
        except BaseException:
            received.close()
            raise

    def signal(
        self, handle: Handle, number: int, commands: Sequence[int], spared: Sequence[int]
    ) -> tuple[list[int], list[int]]:
        """Signal what runs in a namespace, and what these commands have started.

        :param number: the signal, or 0 for none.
        :param commands: the pids of children of ours.
        :param spared: pids of what is not signalled, although it runs inside.
        :return: the pids of those that have not ended, and of what the commands have started and is in the original
            namespace, where nothing is signalled.
        """
        request = requests.request(requests.SIGNAL, handle.key, int(number), list(commands), list(spared))
        found: tuple[list[int], list[int]] = marshal.loads(self._tell_and_wait(request, handle))
        return found

    def forget(self, handle: Handle) -> None:
        """Let the child let go of a namespace and remove its name, if it has one."""
        if handle.key not in self._namespaces:
            return
        if self._closed:  # the child has undone what there was, as it ended
            handle.name = None
            del self._namespaces[handle.key]
            return
        request = requests.request(requests.FORGET, handle.key)
        if handle.name is not None:
            try:
                self._tell_and_wait(request, handle)
            except (ChildDiedError, ChildProtocolError, NetNSTimeoutError):
                self._tell_and_wait(request, handle)  # of the child that takes over: the name must not stay
            handle.name = None
        else:
            process = self._process
            if process is not None:
                self._tell(process, requests.FORGET, handle.key)
        self._namespaces.pop(handle.key, None)

    def _tell(self, process: Process, verb: bytes, key: int) -> None:
        try:
            process.tell(verb, key)
        except Gone:
            return  # then it holds nothing any more
        except BlockingIOError:  # it hangs, and what was told to it before has not been read
            self._discard(process)

    def still_there(self, keys: Iterable[int]) -> set[int]:
        """Return those of these keys whose namespaces something keeps, as far as the child that runs knows of them."""
        if self._process is None:
            return set()
        request, what = requests.request(requests.STILL_THERE, list(keys)), "the closed namespaces"
        return set(marshal.loads(self._ask_text(request, self._timeout, what)))

    def sockets(self, handle: Handle, specs: Sequence[Spec], received: fdpass.Received) -> None:
        request = requests.request(requests.SOCKETS, handle.key, list(specs))
        self._ask(request, received, handle.child_timeout, handle)

    def call(
        self,
        handle: Handle,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        timeout: float | None,
    ) -> Any:
        raise ChildModeError(
            "the resident child has the standard library only and cannot run a function of yours; "
            f"give one of {', '.join(CALL_MODES)} as child_mode, or none to run it in a thread"
        )

    def sysctl(self, handle: Handle, verb: bytes, *arguments: str) -> str:
        """Read, write or list sysctls of a namespace."""
        return self._tell_and_wait(requests.request(verb, handle.key, *arguments), handle).decode(errors="replace")

    # The child

    def _tell_and_wait(self, request: bytes, handle: Handle) -> bytes:
        return self._ask_text(request, handle.child_timeout, handle)

    def _ask_text(self, request: bytes, timeout: float, what: object) -> bytes:
        """Ask what is answered without descriptors; any that come all the same are closed."""
        received = fdpass.Received()
        try:
            answer = self._ask(request, received, timeout, what)
            received.close()
        except BaseException:
            received.close()
            raise
        return answer

    def _ask(self, request: bytes, received: fdpass.Received, timeout: float, what: object) -> bytes:
        process = self._running(what)
        try:
            try:
                answer = process.ask(request, received, timeout)
            except Gone:
                self._discard(process)
                process = self._running(what)
                answer = process.ask(request, received, timeout)
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
        except NetNSError:
            raise
        except OSError as error:
            raise from_errno(error.errno or 0, f"{what}: cannot ask the resident child") from error
        try:
            return checked(answer, what)
        except ChildProtocolError:
            self._discard(process)
            raise

    def _running(self, what: object) -> Process:
        if os.getpid() != self._pid:
            raise NetNSError(
                f"{what}: its resident child serves process {self._pid}, and this is a forked child of it; "
                "make the socket before the fork, or give child_mode='fork'"
            )
        process = self._process
        return self._started(what) if process is None else process

    def _started(self, what: object) -> Process:
        with self._lock:
            if self._closed:  # by another thread: nobody would end a child that is started now
                raise NetNSClosedError(errno.EBADF, f"{what}: the session has ended")
            if self._process is None:
                if self._start is None:  # else somebody was interrupted as he waited for it
                    self._start = Background(self._make)
                try:
                    if not self._start.wait(self._timeout):
                        text = f"{what}: the resident child did not start within {self._timeout:g} s"
                        raise NetNSTimeoutError(errno.ETIMEDOUT, text)
                    self._process, self._start = self._start.result(), None
                except NetNSTimeoutError:
                    raise
                except OSError as error:
                    self._start = None
                    text = f"{what}: cannot start the resident child"
                    raise from_errno(error.errno or 0, text, step=_causes.STARTING) from error
            return self._process

    def _make(self) -> Process:
        patience = min(self._timeout / 2, PATIENCE)
        self._generation += 1
        process = Process(self._home, self._timeout, self._record_number, self._userns, self._mounts, patience)
        for handle in list(self._namespaces.values()):
            if handle.fd >= 0:
                with contextlib.suppress(Gone):  # told by the first request
                    process.tell(requests.ADOPT, handle.key, handle.name, fd=handle.fd)
        return process

    def _discard(self, process: Process) -> str:
        with self._lock:
            if self._process is process:
                self._process = None
        how = process.kill()
        if not process.has_ended:
            self._dying.append(process)
        return how

    def close(self) -> None:
        """End the child, if one runs; in a forked child of the test process, leave it to the parent."""
        if os.getpid() != self._pid:
            return
        with self._lock:
            self._closed = True
            if self._start is not None:
                with contextlib.suppress(OSError):  # there is none to end
                    self._process = self._start.result() if self._start.wait(self._timeout) else None
                self._start = None
            if self._process is not None:
                self._process.close(self._timeout)
                self._process = None
            while self._dying:
                self._dying[-1].kill()
                del self._dying[-1]
            fds = self._of_namespaces()
            self._userns, self._mounts = requests.NEVER, -1
            syscalls.close_all(fds)
