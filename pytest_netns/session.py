"""What makes namespaces, and closes those that are still open at its end."""

from __future__ import annotations

import contextlib
import functools
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from . import kernel, names
from .child import DEFAULT, check_mode
from .child.modes import Modes
from .namespace import NetNS
from .originals import Originals
from .remains import Remains
from .sysctl import checked

if TYPE_CHECKING:
    from socket import socket

    from .netlink import Netlink

__tracebackhide__ = True  # a failed test's report ends in the test; --full-trace shows the rest


class Session:
    """Makes namespaces, all served by one resident child, which ends with it.

    :param child_mode: returns the child mode where none is named.
    :param child_timeout: how long a child may take over one step, in seconds.
    :param thread_timeout: how long a thread may take to end after its namespace is closed, in seconds.
    :param userns: whether the resident child makes a user namespace for itself: ``off``, ``auto`` or ``resident``.
    :param originals: what pyroute2 is imported with, by default the standard library as it is now.
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
    ) -> None:
        self._thread_timeout = check_timeout(thread_timeout)
        self._name_suffix = name_suffix
        self._originals = originals or Originals()
        self._keys = itertools.count(1)
        self._open: dict[int, NetNS] = {}
        self.outputs: list[tuple[str, str]] = []
        """What ended commands had written, with a title; for who makes the reports to take away."""
        self._names: dict[tuple[int, int], str] = {}  # bounded: the kernel uses its numbers again
        self.modes = Modes(child_mode, check_timeout(child_timeout), userns, self._originals)
        self.remains = Remains(self.modes.resident.still_there, lambda: self.namespace("the last").close())

    def namespace(
        self,
        label: str | None = None,
        *,
        name: str | None = None,
        lo: bool = True,
        sysctl: Mapping[str, str | int] | None = None,
        child_mode: str | None = None,
        child_timeout: float | None = None,
        judged: bool = True,
    ) -> NetNS:
        """Make a namespace; see :class:`MakeNetNS`.

        :param judged: whether what keeps it after it is closed is waited for, and then an error.
        """
        modes, key = self.modes, next(self._keys)
        if child_mode is not None:
            check_mode(child_mode)
        timeout = modes.timeout if child_timeout is None else check_timeout(child_timeout)
        values = checked(sysctl or {})
        if name is not None:
            name = check_name(name) + self._name_suffix
        label = label or name or f"netns{key}"
        what = f"namespace {label!r}"
        fd = modes.resident.create(key, what, lo=lo, sysctl=values, timeout=timeout)
        on_closed = functools.partial(self.remains.closed, key, what, kernel.namespace_id(fd))
        ns = NetNS(
            modes,
            key,
            fd,
            label=label,
            name=name,
            child_mode=child_mode,
            child_timeout=timeout,
            thread_timeout=self._thread_timeout if judged else None,
            on_output=lambda title, text: self.outputs.append((title, text)),
            on_closed=on_closed if judged else lambda: None,
            make_netlink=self._netlink,
        )
        self._open[key] = ns
        self._names[ns._id] = label
        ns._on_close(self._open.pop, key)
        if name is not None:
            try:
                modes.resident.bind(key, name, str(ns), timeout)
            except BaseException:
                ns.close()
                raise
        return ns

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
        """Return the pid of the resident child, if it runs."""
        pid = self.modes.resident.pid
        return set() if pid is None else {pid}

    def descriptors(self) -> set[int]:
        """Return the descriptors of what is open and lives longer than a test."""
        return self.modes.descriptors().union(*(ns._descriptors() for ns in list(self._open.values())))

    def close_namespaces(self) -> None:
        """Close the namespaces that are open, the newest first."""
        with contextlib.ExitStack() as undo:
            for ns in list(self._open.values()):
                undo.callback(ns.close)

    def close(self) -> None:
        """Close the namespaces that are open, and end the resident child."""
        try:
            self.close_namespaces()
        finally:
            self.modes.close()


@contextlib.contextmanager
def others_in(mode: str) -> Iterator[None]:
    """Let the children of pyroute2 and of ``multiprocessing`` go the way of a child mode, for the length of a block."""
    import multiprocessing

    from . import netlink

    kind, _, method = mode.partition(":")
    # To ask for it with allow_none does not fix it; to use it does, so it is restored for "mp" and "fork" too.
    saved = multiprocessing.get_start_method(allow_none=True)
    try:
        if method:
            multiprocessing.set_start_method(method, force=True)
        with netlink.child_process_mode(kind):
            yield
    finally:
        multiprocessing.set_start_method(saved, force=True)


def check_timeout(seconds: float) -> float:
    """Return a timeout if it is one.

    :raises ValueError: it is not positive.
    """
    if not seconds > 0:
        raise ValueError(f"a timeout is a number of seconds above 0, not {seconds!r}")
    return seconds


def check_name(name: str) -> str:
    """Return a name under /run/netns if it can be one.

    :raises ValueError: it cannot.
    """
    if not name or "/" in name or "\0" in name or name in (".", "..") or len(name) > 200:
        raise ValueError(
            f"{name!r} cannot be a name under {names.DIRECTORY}: it is one file name of at most 200 characters"
        )
    return name
