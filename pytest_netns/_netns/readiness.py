"""What a program has to do to count as ready."""

from __future__ import annotations

import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from .._errors import is_meant
from .._linux import syscalls
from .streams import Streams

if TYPE_CHECKING:
    import socket

    from .starter import Command

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


class Namespace(Protocol):
    """What conditions need of the namespace."""

    @property
    def socket(self) -> Callable[..., socket.socket]: ...

    @property
    def run(self) -> Callable[..., subprocess.CompletedProcess[Any]]: ...


class Start:
    """One start of a program, to which each condition may add what it needs.

    :param ns: where.
    :param kwargs: the arguments of ``subprocess.Popen``.
    """

    def __init__(self, ns: Namespace, kwargs: Mapping[str, Any]) -> None:
        self.ns = ns
        self.kwargs: dict[str, Any] = dict(kwargs)
        self.fds: list[int] = []
        """The descriptors that are open until it is ready."""
        self.inherited: list[int] = []
        """Those that are open until the program has them."""
        self.sockets: list[socket.socket] = []
        """The sockets that are open until it is ready."""
        self.commands: list[Command] = []
        """The program, from the moment at which it is started."""
        self.streams: Streams = Streams(self.kwargs, self.fds)

    @property
    def process(self) -> subprocess.Popen[Any]:
        return self.commands[0].process

    def close(self) -> None:
        syscalls.close_all(self.inherited)
        syscalls.close_all(self.fds)
        for sock in self.sockets:
            sock.close()


class Watch(ABC):
    """Whether one program, of one start, fulfils a condition."""

    @property
    def wakes(self) -> list[int]:
        """Descriptors that become readable when it is time to look again, if there are some."""
        return []

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether it does; looked at until it does, and once more after the end of the program."""

    def instead(self) -> str:
        """Return what there is instead, to go on with the text of an error."""
        return ""


class Condition(ABC):
    """What a program has to do; the same object may be used for several programs.

    Its ``str()`` is what is waited for, for errors.
    """

    @abstractmethod
    def watch(self, start: Start) -> Watch:
        """Add what is needed to a program that is to be started.

        :raises ValueError: it can never be told of this program.
        """


class _Called(Condition, Watch):
    """A function that returns something true."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function

    def __str__(self) -> str:
        return f"that {getattr(self._function, '__qualname__', repr(self._function))}() returns something true"

    def watch(self, start: Start) -> Watch:
        return self

    def is_ready(self) -> bool:
        return bool(self._function())


def conditions_of(ready: Any) -> list[Condition]:
    """Return what is given for ``ready`` as a list of conditions; it has none for ``None``.

    :raises TypeError: it is none.
    :raises ValueError: it is empty.
    """
    if ready is None:
        return []
    given = list(ready) if isinstance(ready, Iterable) and not isinstance(ready, (str, bytes)) else [ready]
    if not given:
        raise ValueError("ready is empty: leave it out, or say what to wait for, as by listening(80)")
    return [_condition(each) for each in given]


def _condition(given: Any) -> Condition:
    if isinstance(given, Condition):
        return given
    if getattr(given, "__module__", "") == "pytest_netns":
        example = {"listening": "80", "output": "'ready'"}.get(given.__name__, "")
        raise TypeError(f"ready is what {given.__name__} returns: call it, as {given.__name__}({example})")
    if not callable(given):
        raise TypeError(
            "ready is listening(port), output(regex), notified(), inherited(), a function without arguments, or a list "
            f"of these, not {given!r}"
        )
    return _Called(given)
