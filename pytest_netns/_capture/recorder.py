"""The recorder, as the test process sees it: what it records for the test that runs, and what by hand."""

from __future__ import annotations

import errno
import functools
import itertools
import marshal
import posix as os  # see syscalls.py
import socket
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from .._child.modes import Modes
from .._errors import ChildDiedError, NetNSError, is_meant
from .._frames.frame import Frame
from .._handle import Handle
from .._linux import fdpass, syscalls
from .process import Process
from .program import requests, sockets
from .supervisor import WHAT, Supervisor

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

_PACKETS = int(socket.AF_PACKET), int(socket.SOCK_RAW)
SPECS = (*_PACKETS, socket.htons(sockets.ETH_P_ALL)), (*_PACKETS, 0)
"""The sockets that record a namespace: that which queues frames from the start, and that of the ring."""
SPECS_OF_NEW = (*SPECS, (int(socket.AF_NETLINK), int(socket.SOCK_RAW), 0))
"""Those that record a new namespace, and one that tells of links in it."""
MOST_WATCHED = 100
"""Namespaces in which links are listened for: for each thing that the kernel tells, it looks through all who listen,
in any namespace (net/netlink/af_netlink.c, netlink_broadcast_filtered)."""
WITHOUT_LIMIT = 0x40000  # bytes: more than a frame can have

now = functools.partial(time.clock_gettime_ns, time.CLOCK_REALTIME)
"""Nanoseconds since the epoch; from the start on, since a test may stop the clock of the module."""


class Recorded(NamedTuple):
    """What was recorded of one namespace."""

    frames: list[Frame]
    left_out: int


class Recorder:
    """Records namespaces: all of them for the test that runs, or one by hand.

    :param modes: the child modes, of which the resident child makes the packet sockets.
    """

    def __init__(self, modes: Modes) -> None:
        self._modes = modes
        self.program: Supervisor = Supervisor(modes.original_ns, modes.timeout, self._started, self._lost)
        self._keys = itertools.count(1)
        self._automatic: dict[int, int] = {}  # keys of recordings, by those of the namespaces
        self._by_hand: set[int] = set()
        self._handles: dict[int, Handle] = {}
        self._awaited: int | None = None  # the number of the last request that nobody has waited for
        self._test: tuple[Any, ...] | None = None
        self._longest = WITHOUT_LIMIT
        self.troubles: list[str] = []
        """Why what is recorded of the test that runs may not be complete."""

    def _started(self, process: Process) -> None:
        if self._test is not None:
            process.tell(requests.TEST, *self._test)

    def _lost(self) -> None:
        self._awaited = None
        self._automatic.clear()
        self._by_hand.clear()

    # Of each namespace, for the test that runs. What fails here is said, and changes no result.

    def begin(self, *test: Any, longest: int) -> None:
        """Know the test that begins, as an :class:`Artefact`, and record the namespaces that there are.

        :param longest: bytes of a frame that are recorded.
        """
        self._test, self._longest, self.troubles = test, longest, []
        self.settle()
        if self.program.runs:
            self._try(self.program.tell, requests.TEST, *test)
        if not self.program.runs:  # it never ran, or has ended since
            for handle in list(self._handles.values()):
                self._record(handle)

    def create(self, handle: Handle, *, lo: int, sysctl: Mapping[str, str]) -> None:
        """Make a namespace, as of :meth:`ResidentMode.create`, and record it until it is closed.

        One request is for both: the resident child makes the next namespace as soon as it has answered.
        """
        self._try(self.program.start)
        received = fdpass.Received()
        specs = SPECS_OF_NEW if len(self._handles) < MOST_WATCHED else SPECS
        try:
            self._modes.resident.create(handle, lo=lo, sysctl=sysctl, specs=specs, received=received)
            self._record(handle, received)
            received.close()
        except BaseException:
            received.close()
            raise

    def _record(self, handle: Handle, received: fdpass.Received | None = None) -> None:
        self._handles[handle.key] = handle
        key = self._try(self._add, handle, self._longest, False, received)
        if key is not None:
            self._automatic[handle.key] = key

    def know(self, links: Iterable[tuple[tuple[Handle, int, str], tuple[Handle, int, str]]]) -> None:
        """Know links before they are made: what crosses one of them is recorded at one of its ends only.

        :param links: the ends of each, by their namespaces, indexes and names.
        """
        known = [
            tuple((self._automatic[handle.key], *end) for handle, *end in ends)
            for ends in links
            if all(handle.key in self._automatic for handle, *_ in ends)
        ]
        if known:
            self._try(self.program.tell, requests.LINKS, now(), known)

    def _try(self, function: Any, *arguments: Any, **options: Any) -> Any:
        if os.getpid() != self.program.pid:
            return None  # in a forked child, it is the parent's
        try:
            return function(*arguments, **options)
        except (OSError, NetNSError, RuntimeError) as error:
            self._say(getattr(error, "strerror", None) or str(error))
            return None

    def _say(self, text: str) -> None:
        if text not in self.troubles:
            self.troubles.append(text)

    def closed(self, handle: Handle) -> None:
        """Let go of a namespace that is closed."""
        self._handles.pop(handle.key, None)
        key = self._automatic.pop(handle.key, None)
        if key is not None and self.program.runs:
            self._awaited = self._try(self.program.tell, requests.STOP, key) or self._awaited

    def write(self, comments: list[str], hosts: list[tuple[str, str]]) -> tuple[int, int] | None:
        """Write the file of the test that runs.

        :param comments: what it is to say of itself.
        :param hosts: addresses and what they are called.
        :return: how many frames it has (with none there is no file), and how many did not fit; ``None`` where it could
            not be written. :attr:`troubles` says why, and what else is missing.
        """
        if not self.program.runs:
            return None
        answer = self._try(self.program.ask, requests.WRITE, comments, hosts)
        if answer is None:
            return None
        count, left_out, troubles = marshal.loads(answer)
        for text in troubles:
            self._say(text)
        return count, left_out

    @property
    def begun(self) -> int | None:
        """When the test that runs began, in nanoseconds since the epoch."""
        return None if self._test is None else self._test[2]

    def of_test(self) -> list[Recorded]:
        """Return what was recorded of all namespaces since the test began."""
        if not self.program.runs or self.begun is None:
            return []
        return self._try(self.recorded, None, self.begun) or []

    def end(self) -> None:
        """Forget the test that has run, and what was recorded of namespaces that are closed."""
        if self._test is not None and self.program.runs:
            self._awaited = self._try(self.program.tell, requests.END) or self._awaited
        self._test = None

    def settle(self) -> None:
        """Wait until the recorder has done what it was told: one that hangs would keep closed namespaces."""
        if self.program.runs and self._awaited is not None:
            number, self._awaited = self._awaited, None
            self._try(self.program.wait, number)

    # By hand

    def add(self, handle: Handle, longest: int) -> int:
        """Record a namespace, until it is told to :meth:`drop` it; return the key of the recording.

        :param longest: bytes of a frame that are recorded.
        :raises NetNSError: it cannot be recorded.
        """
        self.program.start()  # so that the kernel notes the time of what the sockets receive
        key = self._add(handle, longest, True)
        self._by_hand.add(key)
        return key

    def _add(self, handle: Handle, longest: int, is_by_hand: bool, received: fdpass.Received | None = None) -> int:
        """Pass packet sockets to the recorder, which are made if there are none."""
        received = received or fdpass.Received()
        try:
            if len(received.fds) < 2:
                received.close()
                self._modes.resident.sockets(handle, SPECS, received)
            self._prepare(received)
            key = next(self._keys)
            self.program.tell(requests.ADD, key, handle.label, longest, is_by_hand, fds=received.fds)
            received.close()
        except BaseException:
            received.close()
            raise
        return key

    @staticmethod
    def _prepare(received: fdpass.Received) -> None:
        """Prepare the sockets of a recording at once: the recorder may take its time."""
        queue, _, *watch = received.fds
        sockets.let_queue(queue)
        try:
            for fd in watch:
                sockets.watch_links(queue, fd)
        except OSError:  # as before Linux 4.20; outgoing frames are taken then
            syscalls.close_all(received.fds[2:])
            del received.fds[2:]

    def recorded(self, keys: list[int] | None, since: int = 0) -> list[Recorded]:
        """Return what was recorded.

        :param keys: of recordings; with ``None``, of all that are not by hand.
        :param since: when the first frame may have been recorded, in nanoseconds since the epoch.
        """
        if keys is not None and not self._by_hand.issuperset(keys):
            raise ChildDiedError(errno.ECHILD, f"{WHAT} that had these frames was killed, and they are lost")
        received = fdpass.Received()
        try:
            self.program.ask(requests.FRAMES, keys, since, received=received)
            content = marshal.loads(os.pread(received.fds[0], os.fstat(received.fds[0]).st_size, 0))
            received.close()
        except BaseException:
            received.close()
            raise
        return [
            Recorded([Frame(time, label, *others) for time, *others in frames], left_out)
            for _, label, left_out, frames in content
        ]

    def drop(self, key: int) -> None:
        """Forget a recording, and let go of its namespace."""
        if key in self._by_hand:
            self._by_hand.remove(key)
            self._try(self.program.tell, requests.DROP, key)
