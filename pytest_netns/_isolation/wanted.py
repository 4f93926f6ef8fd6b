"""The addresses outside that a test wanted which has no way out, as the interpreter told of them."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import weakref
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

WITHOUT_A_WAY = tuple(map(os.strerror, (errno.ENETUNREACH, errno.EHOSTUNREACH)))
WITHOUT_A_NAME = ("Name or service not known", "Temporary failure in name resolution", "No address associated")
NAMES = ("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr")
ADDRESSES = ("socket.connect", "socket.sendto", "socket.sendmsg")
SHOWN = 3  # of those, the last ones
NOTED = 64  # of each test, the last ones


class Wanted:
    """Takes note of the addresses that a test wants.

    :param is_of_test: whether the calling thread does what it does for the test.
    """

    def __init__(self, is_of_test: Callable[[], bool]) -> None:
        self._is_of_test = is_of_test
        self._noted: deque[tuple[str, Any]] = deque(maxlen=NOTED)

    def clear(self) -> None:
        """Forget what was noted: another test begins."""
        self._noted.clear()

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._is_of_test():
            self._noted.append((event, arguments[:2] if event in NAMES else arguments[1]))

    @property
    def has_heard_a_name(self) -> bool:
        """Whether it was Python that looked a name up, and not a library by itself."""
        return any(_text(event, address) for event, address in self._noted if event in NAMES)

    def note(self, report: str) -> str:
        """Return what to add to the report of a failed test: nothing if it did not fail for lack of a network.

        :param report: its text.
        """
        events = (ADDRESSES if any(reason in report for reason in WITHOUT_A_WAY) else ()) + (
            NAMES if lacks_a_name(report) else ()
        )
        if not events:
            return ""
        found: dict[str, None] = {}
        for event, address in reversed(self._noted):
            text = _text(event, address) if event in events else None
            if text is not None:
                found.setdefault(text)
        texts = list(found)[:SHOWN][::-1]
        return f"it wanted {', '.join(texts)}" if texts else "see above for what it wanted"


def lacks_a_name(report: str) -> bool:
    """Whether a test failed because a name was not found."""
    return any(reason in report for reason in WITHOUT_A_NAME)


def _text(event: str, address: Any) -> str | None:
    """Say what was wanted, or nothing of what is inside."""
    if not isinstance(address, tuple) or not address:
        return None  # of a UNIX socket, for example
    host, port = (*address, None)[:2]
    host = host.decode(errors="replace") if isinstance(host, (bytes, bytearray)) else host
    if not isinstance(host, str) or not host:
        return None
    import ipaddress  # here, since it takes 2 ms

    try:
        number = ipaddress.ip_address(host)
    except ValueError:
        return f"the name {host}" if event in NAMES and host != "localhost" else None
    if event in NAMES or number.is_loopback or number.is_unspecified:
        return None
    return host if port is None else f"{host} port {port}"


class Listener(NamedTuple):
    """A fixture that is wider than the isolation of a test, and what it has bound outside."""

    fixture: str
    scope: str
    socket: weakref.ref[socket.socket]


class Outside:
    """Knows which fixture listens outside, and so cannot be reached by isolated tests."""

    def __init__(self) -> None:
        self._current: tuple[str, str] | None = None
        self._listeners: list[Listener] = []

    @contextlib.contextmanager
    def of(self, fixture: str, scope: str) -> Iterator[None]:
        """Take what is bound in a block for what a fixture has bound, in whichever thread."""
        before, self._current = self._current, (fixture, scope)
        try:
            yield
        finally:
            self._current = before

    def hear_of_bind(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._current is not None and isinstance(arguments[0], socket.socket):
            self._listeners.append(Listener(*self._current, weakref.ref(arguments[0])))

    def listener(self, port: int) -> tuple[str, str] | None:
        """Return the name and the scope of the fixture that listens on a TCP port."""
        for fixture, scope, reference in self._listeners:
            sock = reference()
            if sock is not None and _listens(sock, port):
                return fixture, scope
        return None


def _listens(sock: socket.socket, port: int) -> bool:
    try:
        is_listening = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
        return bool(is_listening) and sock.getsockname()[1] == port
    except (OSError, IndexError):  # closed, or of a UNIX socket
        return False
