"""What makes namespaces, and closes those that are still open at its end."""

from __future__ import annotations

import contextlib
import errno
import functools
import itertools
import posix
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

from .._arguments import check_timeout
from .._capture.recorder import Recorder
from .._child import DEFAULT
from .._child.mode_names import ChildMode
from .._child.modes import Modes
from .._errors import NetNSClosedError, NetNSError, is_meant
from .._handle import Handle, unmeasured
from .._leaks.pending import Remains
from .._linux import loopback
from .._originals import Originals
from .._snapshot.taking import Observed, Snapshots
from .inside import Inside
from .keeping import Keeping, Kept
from .namespace import NetNS
from .options import Options, check_name
from .stopwatch import Stopwatch
from .together import Together

if TYPE_CHECKING:
    from socket import socket

    from .netlink import Netlink

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

Made = TypeVar("Made", bound=NetNS)

MAKING, MAKING_THE_FIRST = "making a namespace", "starting the resident child and making the first namespace"


class Session:
    """Makes namespaces, all served by one resident child, which ends with it.

    :param child_mode: returns the child mode where none is named.
    :param child_timeout: how long a child may take over one step, in seconds.
    :param thread_timeout: how long a thread may take to end after its namespace is closed, in seconds.
    :param userns: whether the resident child makes a user namespace for itself: ``off``, ``auto`` or ``resident``.
    :param originals: what pyroute2 is imported with, by default the standard library as it is now.
    :param test: returns the name of the test that runs.
    :param keeps: whether the namespaces of failed tests outlive it.
    :param stopwatch: measures what takes time, if anything is to.
    :param records: whether the frames of each namespace are recorded.
    :param name_suffix: put behind every name under /run/netns, to keep those of parallel workers apart.
    """

    def __init__(
        self,
        *,
        child_mode: Callable[[], str] = lambda: DEFAULT,
        child_timeout: float = 10.0,
        thread_timeout: float = 5.0,
        name_suffix: str = "",
        userns: str = "auto",
        originals: Originals | None = None,
        test: Callable[[], str] = lambda: "",
        keeps: bool = False,
        stopwatch: Stopwatch | None = None,
        records: bool = False,
    ) -> None:
        self._thread_timeout = check_timeout(thread_timeout, "thread_timeout")
        self._name_suffix = name_suffix
        self._test = test
        self._stopwatch = stopwatch
        self.keeping = Keeping(is_on=keeps)
        self._originals = originals or Originals()
        self._inside = Inside()
        self._keys = itertools.count(1)
        self._open: dict[int, NetNS] = {}
        self.outputs: list[tuple[str, str]] = []
        """What ended commands had written, each with a title."""
        self._names: dict[tuple[int, int], str] = {}  # bounded: the kernel uses its numbers again
        self.modes = Modes(child_mode, check_timeout(child_timeout, "child_timeout"), userns, self._originals)
        self.snapshots = Snapshots(self.modes.resident, self._originals, self._keys)
        self.remains = Remains(self.modes.resident.still_there)
        self._records = records
        self.recorder = Recorder(self.modes)

    @staticmethod
    def options(args: tuple[Any, ...], options: dict[str, Any]) -> Options:
        """Check what a caller gives for a namespace; see :meth:`Options.of`."""
        return Options.of(args, options)

    def namespace(self, *args: Any, **options: Any) -> NetNS:
        """Make a namespace; see :class:`MakeNetNS`."""
        return self.make(Options.of(args, options))

    def make(
        self,
        given: Options,
        *,
        kind: type[Made] = NetNS,  # type: ignore[assignment]
        leak_checked: bool = True,
        complete: bool = False,
        own: Callable[[NetNS], object] = lambda ns: None,
    ) -> Made:
        """Make a namespace.

        :param kind: the class of the object for it.
        :param leak_checked: whether what keeps it after it is closed is waited for, and then an error.
        :param complete: whether its loopback has all that a test needs which runs inside and has no other network.
        :param own: gets it before there is anything to close: a signal handler may raise before this returns.
        """
        name = None if given.name is None else check_name(given.name, self._name_suffix)
        handle = self._handle(given, name)
        ns = self._new(kind, handle, given.child_mode, leak_checked)
        ns._observed = Observed(self.snapshots, handle)
        try:
            self._open[handle.key] = ns
            own(ns)
            self._create(handle, given, complete)
            if name is not None:
                ns.name = name
                self.modes.resident.bind(handle, name)
            if ns.closed:  # by another thread that ends the session, perhaps before there was anything to close
                raise _ended(handle)
        except BaseException as error:
            is_plain = isinstance(error, OSError) and not isinstance(error, NetNSError)
            is_ended = ns.closed and is_plain
            with contextlib.suppress(NetNSError):  # what cannot be undone now is tried once more with the session's end
                ns.close()
            ns._close_fd()
            if is_ended:  # its descriptor was closed by that thread
                raise _ended(handle) from error
            raise
        return ns

    def _create(self, handle: Handle, given: Options, complete: bool) -> None:
        reach = loopback.COMPLETE if complete else loopback.UP if given.lo else loopback.DOWN
        with handle.measured(MAKING if self._names else MAKING_THE_FIRST):
            maker = self.recorder if self._records else self.modes.resident
            maker.create(handle, lo=reach, sysctl=given.sysctl)
        self._names[handle.identity] = handle.label

    def _handle(self, given: Options, name: str | None) -> Handle:
        key = next(self._keys)
        label = given.label or name or f"netns{key}"
        timeout = self.modes.timeout if given.child_timeout is None else given.child_timeout
        return Handle(key, label, timeout, self._test(), self._measured(label))

    def _measured(self, label: str) -> Callable[[str], AbstractContextManager[None]]:
        return unmeasured if self._stopwatch is None else functools.partial(self._stopwatch.measure, label)

    def _new(self, kind: type[Made], handle: Handle, child_mode: str | None, leak_checked: bool) -> Made:
        """Return the object for a namespace that is not made yet."""
        return kind(
            self.modes,
            handle,
            child_mode=child_mode,
            thread_timeout=self._thread_timeout if leak_checked else None,
            on_output=lambda title, text: self.outputs.append((title, text)),
            on_closed=functools.partial(self._closed, handle, leak_checked),
            make_netlink=self._netlink,
            inside=self._inside,
            stays=self.keeping.watch(),
            recorder=self.recorder,
        )

    def _closed(self, handle: Handle, leak_checked: bool) -> None:
        self.recorder.closed(handle)
        if leak_checked and handle.identity in self._names:
            self.remains.closed(handle.key, str(handle), handle.identity)
        self._open.pop(handle.key, None)

    def namespaces(self) -> list[NetNS]:
        """Return the namespaces that are open."""
        return [ns for ns in list(self._open.values()) if not ns.closed]

    def hosts(self) -> list[tuple[str, str]]:
        """Return the addresses of the hosts of open networks, each with a name of it."""
        names = {ns._names for ns in list(self._open.values()) if ns._names is not None}
        return [host for each in names for host in each.hosts()]

    def take_outputs(self) -> list[tuple[str, str]]:
        """Return what ended commands had written, each with a title, and forget it."""
        outputs, self.outputs = self.outputs, []
        return outputs

    def finish_closing(self) -> None:
        """Close what was being closed when that was interrupted, or failed."""
        with contextlib.ExitStack() as stack:
            for ns in list(self._open.values()):
                if ns.closed:
                    stack.callback(ns.close)

    @property
    def without_journal(self) -> str:
        """Why not all namespaces are written down, for the case that pytest and its resident child are both killed."""
        return self.modes.resident.without_journal

    @property
    def without_own_etc(self) -> str:
        """Why commands do not find the hosts of a network by name, if so."""
        return self.modes.resident.without_own_etc

    def _netlink(self, make: Callable[[int], socket]) -> Netlink:
        """Make the netlink objects of a namespace; by the first, pyroute2 is imported, which takes 0.1 s."""
        with self._originals.in_place():
            from .netlink import Netlink
        return Netlink(make)

    @property
    def has_made_one(self) -> bool:
        """Whether a namespace could be made."""
        return bool(self._names)

    def name_of(self, identity: tuple[int, int]) -> str | None:
        """Return what a namespace is called, or was when it was open."""
        return self._names.get(identity)

    def pids(self) -> set[int]:
        """Return the pids of the resident child and the recorder, if they run, and of the programs in what is kept."""
        pid = self.modes.resident.pid
        return self.keeping.programs() | self.recorder.program.pids() | (set() if pid is None else {pid})

    def descriptors(self) -> set[int]:
        """Return the descriptors of what is open and lives longer than a test."""
        each = [ns._descriptors() for ns in list(self._open.values())]
        return self.modes.descriptors().union(self.recorder.program.descriptors(), *each)

    def close_namespaces(self) -> None:
        """Close the namespaces that are open, the newest first."""
        Together(self._open.values()).close()
        self.recorder.settle()

    def hand_over(self) -> list[Kept]:
        """Let the resident child stay with the namespaces of failed tests; see :meth:`Keeping.hand_over`."""
        return self.keeping.hand_over(self.modes.resident, posix.getpid())

    def close(self) -> None:
        """Close the namespaces that are open, end the recorder, and the resident child unless it was told to stay."""
        self.keeping.give_up()
        with contextlib.ExitStack() as undo:
            undo.callback(self.modes.close)
            undo.callback(self.recorder.program.close)
            self.close_namespaces()


def _ended(handle: Handle) -> NetNSClosedError:
    return NetNSClosedError(errno.EBADF, f"{handle}: the session has ended")


@contextlib.contextmanager
def others_in(mode: ChildMode) -> Iterator[None]:
    """Start the children of pyroute2 and of ``multiprocessing`` as a child mode does, for the length of a block."""
    import multiprocessing

    from . import netlink

    # To ask for it with allow_none does not fix it; to use it does, so it is restored for "mp" and "fork" too.
    saved = multiprocessing.get_start_method(allow_none=True)
    try:
        if mode.start_method is not None:
            multiprocessing.set_start_method(mode.start_method, force=True)
        with netlink.child_process_mode(mode.kind):
            yield
    finally:
        multiprocessing.set_start_method(saved, force=True)
