"""What takes snapshots of the namespaces of a session."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .._errors import is_meant
from .._handle import Handle
from .._linux import loopback, syscalls
from .._originals import Originals

if TYPE_CHECKING:
    from .._child.resident.client import ResidentMode
    from .raw import Look, Raw
    from .snapshot import Snapshot
    from .watch import Watch

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

TIMEOUT = 5.0  # seconds


class Snapshots:
    """Takes snapshots of namespaces.

    :param resident: the child that is inside of them.
    :param originals: what the modules for it are imported with, which is done when the first is taken.
    :param keys: the numbers by which the child knows namespaces.
    """

    def __init__(self, resident: ResidentMode, originals: Originals, keys: Iterator[int]) -> None:
        self._resident = resident
        self._originals = originals
        self._fresh: dict[int, Raw] = {}
        self._keys = keys

    def take(self, handle: Handle) -> Snapshot:
        """Take one.

        :raises NetNSError: the kernel does not tell what there is.
        """
        deadline = syscalls.monotonic() + TIMEOUT
        with self.look(handle, deadline) as look:
            raw = look.take()
        return self.read(raw, deadline)

    def look(self, handle: Handle, deadline: float) -> Look:
        """Return what looks at a namespace for the length of a block."""
        with self._originals.in_place():
            from .raw import Look

        return Look(self._resident, handle, deadline)

    def watch(self, handle: Handle) -> Watch:
        """Return what reads the counters of a namespace again and again.

        :raises NetNSError: it cannot be made.
        """
        with self._originals.in_place():
            from .watch import Watch

        return Watch(self._resident, handle)

    def read(self, raw: Raw, deadline: float) -> Snapshot:
        """Return the snapshot for what the kernel has told."""
        with self._originals.in_place():
            from .snapshot import Snapshot

        return Snapshot(raw, self.fresh(loopback.UP, deadline).sysctls)

    def fresh(self, lo: int, deadline: float) -> Raw:
        """Return what a new namespace has, for which one is made, once.

        :param lo: how much loopback it has, as of :mod:`pytest_netns._linux.loopback`.
        :raises NetNSError: none can be made.
        """
        if lo not in self._fresh:
            with self._new(lo) as handle, self.look(handle, deadline) as look:
                self._fresh[lo] = look.take()
        return self._fresh[lo]

    @contextlib.contextmanager
    def _new(self, lo: int) -> Iterator[Handle]:
        handle = Handle(next(self._keys), "a new one", TIMEOUT)
        try:
            self._resident.create(handle, lo=lo, sysctl={})
            yield handle
        finally:
            self._resident.forget(handle)
            fd, handle.fd = handle.fd, -1
            syscalls.close_all([fd] if fd >= 0 else [])


class Observed:
    """A namespace that is looked at.

    :param snapshots: takes those of it.
    """

    def __init__(self, snapshots: Snapshots, handle: Handle) -> None:
        self._snapshots = snapshots
        self._handle = handle
        self._watch: Watch | None = None
        self.expired = 0
        """How many packets of ours routers have sent back whose TTL was to run out there."""

    def take(self) -> Snapshot:
        return self._snapshots.take(self._handle)

    @property
    def is_watched(self) -> bool:
        return self._watch is not None

    def watch(self) -> None:
        """Open what its counters are read from, until :meth:`close`.

        :raises NetNSError: it cannot be opened.
        """
        self._watch = self._snapshots.watch(self._handle)

    def counted(self) -> tuple[list[bytes], list[bytes]]:
        """Return what it has counted, as of :meth:`Watch.read`."""
        assert self._watch is not None
        return self._watch.read()

    def descriptors(self) -> set[int]:
        return set() if self._watch is None else self._watch.descriptors()

    def close(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()
