"""The resident child as it is kept running: started when first asked, replaced when it ends, and ended at last."""

from __future__ import annotations

import contextlib
import errno
import posix as os  # see syscalls.py
import threading
from collections.abc import Sequence

from ... import _causes
from ..._errors import (
    ChildDiedError,
    ChildProtocolError,
    NetNSClosedError,
    NetNSError,
    NetNSTimeoutError,
    from_errno,
    is_meant,
)
from ..._handle import Handle
from ..._linux import fdpass, syscalls
from ..background import Background
from ..reply import checked
from . import requests
from .process import Gone, Process

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

OF_TIMEOUT = 5  # part of the time-out for a look at the namespaces when this process has died
PATIENCE = 5.0  # seconds for which a child that starts waits for others, and half the time-out at most


class Supervisor:
    """Keeps a resident child running as long as it is asked, and asks it.

    :param original_ns: a descriptor of the namespace in which the child waits; the caller keeps it open.
    :param timeout: how long the child may take over one request, in seconds.
    :param userns: whether it makes a user namespace for itself: ``off``, ``auto`` (as it must) or ``resident``.
    """

    def __init__(self, original_ns: int, timeout: float, userns: str = "auto") -> None:
        self._original_ns = original_ns
        self._userns = {"off": requests.NEVER, "auto": requests.IF_NEEDED, "resident": requests.ALWAYS}[userns]
        self._mounts = -1
        self.without_journal: str = ""
        """Why not all namespaces are written down, for the case that this process and the child are both killed."""
        self.without_own_etc: str = ""
        """Why commands do not find the hosts of a network by name, if so."""
        self.witness: tuple[int, ...] = ()
        """Descriptors for the child, as of :class:`witness.Witness`, if it is to tell how this process died."""
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

    def _ask(
        self, request: bytes, received: fdpass.Received, timeout: float, what: object, fds: Sequence[int] = ()
    ) -> bytes:
        process = self._running(what)
        try:
            try:
                answer = process.ask(request, received, timeout, fds)
            except Gone:
                self._discard(process)
                process = self._running(what)
                answer = process.ask(request, received, timeout, fds)
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
        with contextlib.suppress(OSError):  # else each pair of sockets is made there by another thread
            # This thread, which ends with the start, was born where the one was that first asked.
            if syscalls.namespace_id("/proc/thread-self/ns/net") != syscalls.namespace_id(self._original_ns):
                syscalls.setns(self._original_ns)
        patience = min(self._timeout / 2, PATIENCE)
        self._generation += 1
        process = Process(self._original_ns, self._timeout, self._record_number, self._userns, self._mounts, patience)
        if self.witness:
            with contextlib.suppress(Gone):  # told by the first request
                process.tell(requests.WITNESS, self._timeout / OF_TIMEOUT, fds=self.witness)
        for handle in list(self._namespaces.values()):
            if handle.fd >= 0:
                with contextlib.suppress(Gone):  # told by the first request
                    process.tell(requests.ADOPT, handle.key, handle.name, *handle.about, fds=[handle.fd])
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
