"""The child modes of one test process, each made when it is first asked for."""

from __future__ import annotations

import contextlib
import posix as os  # see syscalls.py
from collections.abc import Callable

from .._errors import from_errno, is_meant
from .._linux import syscalls
from .._originals import Originals
from .mode_names import ChildMode
from .protocol import Strategy
from .resident.client import ResidentMode

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


class Modes:
    """All child modes, and which of them is used where none is named.

    :param current: returns the mode where none is named.
    :param timeout: how long a child may take over one step, in seconds.
    :param userns: as of :class:`ResidentMode`.
    :param originals: what the modules of the modes are imported with.
    """

    def __init__(self, current: Callable[[], str], timeout: float, userns: str, originals: Originals) -> None:
        self.current = current
        self.timeout = timeout
        self._originals = originals
        self.pid: int = os.getpid()
        self._undo = contextlib.ExitStack()
        self._original_namespaces: list[int] = []
        try:
            syscalls.open_own_namespace(self._original_namespaces)
        except OSError as error:
            text = "cannot open /proc/thread-self/ns/net, the test process's own"
            raise from_errno(error.errno or 0, text) from error
        self._undo.callback(syscalls.close_all, self._original_namespaces)
        self.original_ns: int = self._original_namespaces[0]
        """A descriptor of the test process's own namespace, which this object owns."""
        self.resident: ResidentMode = ResidentMode(self.original_ns, timeout, userns)
        self._undo.callback(self.resident.close)
        self._modes: dict[str, Strategy] = {self.resident.name: self.resident}

    def __getitem__(self, name: str) -> Strategy:
        try:
            return self._modes[name]
        except KeyError:
            mode = ChildMode.of(name)
        try:
            with self._originals.in_place():
                return self._modes.setdefault(name, self._make(mode))
        except OSError as error:  # its module cannot be read
            raise from_errno(error.errno or 0, f"cannot load the child mode {name}") from error

    def _make(self, mode: ChildMode) -> Strategy:
        if mode.kind == "fork":
            from .fork import Fork

            return Fork()
        from .mp import Multiprocessing

        return Multiprocessing(mode.start_method, self.original_ns)

    def descriptors(self) -> set[int]:
        """Return the descriptors that live as long as this object."""
        return {*self._original_namespaces, *self.resident.descriptors()}

    def close(self) -> None:
        """End the resident child; in a forked child, whose parent still needs it, do nothing."""
        if os.getpid() == self.pid:
            self._undo.close()
