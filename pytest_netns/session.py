"""What makes namespaces, and closes those that are still open at its end."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from . import kernel, names
from .arguments import check_keywords, check_timeout, check_type
from .child import DEFAULT, check_mode
from .child.modes import Modes
from .namespace import NetNS
from .remains import Remains
from .sysctl import checked

__tracebackhide__ = True  # a failed test's report ends in the test; --full-trace shows the rest


@dataclasses.dataclass(frozen=True)
class Options:
    """What :class:`MakeNetNS` takes, checked."""

    label: str | None
    name: str | None
    lo: bool
    sysctl: dict[str, str]
    """Paths below /proc/sys, and what to write."""
    child_mode: str | None
    child_timeout: float | None

    @classmethod
    def of(cls, args: tuple[Any, ...], options: dict[str, Any]) -> Options:
        """Check what a caller gives.

        :raises TypeError: an option is unknown, or of a wrong type.
        :raises ValueError: a value cannot be.
        """
        if len(args) > 1:
            raise TypeError(
                f"one argument can be given without a name, the label, not {len(args)}; "
                'give the others by name, as in make_netns("client", name="lab")'
            )
        if args and "label" in options:
            raise TypeError(f"the label is given twice, as {args[0]!r} and as {options['label']!r}")
        check_keywords(options, tuple(cls.__dataclass_fields__), "a namespace")
        given = {"label": args[0], **options} if args else options
        label, lo = given.get("label"), given.get("lo", True)
        name, child_mode, timeout = given.get("name"), given.get("child_mode"), given.get("child_timeout")
        if label is not None:
            check_type(label, str, "label is a str, what the namespace is called in errors")
        check_type(lo, bool, "lo is True or False, whether loopback is up")
        return cls(
            label=label,
            name=None if name is None else check_name(name),
            lo=lo,
            sysctl=checked({} if given.get("sysctl") is None else given["sysctl"]),
            child_mode=None if child_mode is None else check_mode(child_mode),
            child_timeout=None if timeout is None else check_timeout(timeout, "child_timeout"),
        )


class Session:
    """Makes namespaces, all served by one resident child, which ends with it.

    :param child_mode: returns the child mode where none is named.
    :param child_timeout: how long a child may take over one step, in seconds.
    :param thread_timeout: how long a thread may take to end after its namespace is closed, in seconds.
    :param userns: whether the resident child makes a user namespace for itself: ``off``, ``auto`` or ``resident``.
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
    ) -> None:
        self._thread_timeout = check_timeout(thread_timeout, "thread_timeout")
        self._name_suffix = name_suffix
        self._keys = itertools.count(1)
        self._open: dict[int, NetNS] = {}
        self.outputs: list[tuple[str, str]] = []
        """What ended commands had written, with a title; for who makes the reports to take away."""
        self._names: dict[tuple[int, int], str] = {}  # bounded: the kernel uses its numbers again
        self.modes = Modes(child_mode, check_timeout(child_timeout, "child_timeout"), userns)
        self.remains = Remains(self.modes.resident.still_there)

    def namespace(self, *args: Any, judged: bool = True, **options: Any) -> NetNS:
        """Make a namespace; see :class:`MakeNetNS`.

        :param judged: whether what keeps it after it is closed is waited for, and then an error.
        """
        return self._make(Options.of(args, options), judged)

    def _make(self, options: Options, judged: bool) -> NetNS:
        modes, key = self.modes, next(self._keys)
        timeout = modes.timeout if options.child_timeout is None else options.child_timeout
        name = None if options.name is None else options.name + self._name_suffix
        label = options.label or name or f"netns{key}"
        what = f"namespace {label!r}"
        fd = modes.resident.create(key, what, lo=options.lo, sysctl=options.sysctl, timeout=timeout)
        on_closed = functools.partial(self.remains.closed, key, what, kernel.namespace_id(fd))
        ns = NetNS(
            modes,
            key,
            fd,
            label=label,
            name=name,
            child_mode=options.child_mode,
            child_timeout=timeout,
            thread_timeout=self._thread_timeout if judged else None,
            on_output=lambda title, text: self.outputs.append((title, text)),
            on_closed=on_closed if judged else lambda: None,
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


def check_name(name: str) -> str:
    """Return a name under /run/netns if it can be one.

    :raises TypeError: it is no text.
    :raises ValueError: it cannot.
    """
    check_type(name, str, f"name is a str, a file name under {names.DIRECTORY}")
    if not name or "/" in name or "\0" in name or name in (".", "..") or len(name) > 200:
        raise ValueError(
            f"{name!r} cannot be a name under {names.DIRECTORY}: it is one file name of at most 200 characters"
        )
    return name
