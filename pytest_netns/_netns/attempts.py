"""The connections that a test has begun, as the interpreter told of them, and which of them was refused."""

from __future__ import annotations

import _socket
import errno
import sys
import weakref
from collections import deque
from collections.abc import Iterator
from types import CodeType, FrameType
from typing import Any, NamedTuple

from .. import _audit
from .._linux import syscalls

EVENTS = ("socket.connect", "socket.bind")
SENDING = ("socket.connect", "socket.sendto", "socket.sendmsg")
"""What :class:`Attempts` is to hear of, and hear of sending."""
NOTED = 64  # attempts of a test and bound sockets, the last ones
RELATED = 100  # exceptions that are looked at, of those that led to one
KINDS = {int(_socket.SOCK_STREAM): "tcp", int(_socket.SOCK_DGRAM): "udp"}
FAMILIES = (int(_socket.AF_INET), int(_socket.AF_INET6))
LISTENS = (_socket.SOL_SOCKET, _socket.SO_ACCEPTCONN)
REFUSED = f"[Errno {errno.ECONNREFUSED}] Connect call failed"  # how asyncio puts several errors together

# Of the base class: to ask a ``socket.socket`` makes an enumeration of each number, and a subclass may do anything.
_family, _type = (vars(_socket.SocketType)[name].__get__ for name in ("family", "type"))
_name, _peer, _option = (vars(_socket.SocketType)[name] for name in ("getsockname", "getpeername", "getsockopt"))


class Bound(NamedTuple):
    """A socket of this process that listens on the port of an attempt."""

    cookie: int
    """That of its namespace; see ``syscalls.cookie_of``."""
    host: str


class Attempt(NamedTuple):
    """A connection that was begun, of TCP, or of UDP, where it only says to whom is sent."""

    kind: str
    host: str
    port: int
    cookie: int
    """That of the namespace of its socket."""
    bound: list[Bound]
    """What listened on its port, wherever, when it was begun: a ``with`` block may have closed it since."""
    address: tuple[Any, ...]
    socket: weakref.ref[Any]
    frame: int
    """The ``id`` of the frame that began it."""
    code: CodeType

    def is_of(self, frame: FrameType) -> bool:
        return id(frame) == self.frame and frame.f_code is self.code

    def is_held_by(self, frame: FrameType) -> bool:
        """Whether its socket is connected still, and known to a frame, or to the object whose method that is of."""
        sock, found = self.socket(), frame.f_locals
        if sock is None or not any(sock is one for one in (*found.values(), *vars_of(found.get("self")))):
            return False
        try:
            return bool(_peer(sock)[:2] == (self.host, self.port))
        except OSError:
            return False


class Attempts:
    """Takes note of the connections that a test begins.

    What is heard of here costs the test a few microseconds each, so what was refused is found out later.
    """

    def __init__(self) -> None:
        self._noted: deque[Attempt] = deque(maxlen=NOTED)
        self._bound: list[weakref.ref[Any]] = []
        self._last: Any = None

    def clear(self) -> None:
        """Forget the attempts: another test begins."""
        self._noted.clear()
        self._last = None

    def hear_of_sending(self, event: str, arguments: tuple[Any, ...]) -> None:
        self._last = arguments[1]

    @property
    def last(self) -> tuple[Any, ...] | None:
        """The address of IP to which a test sent or connected last."""
        last = self._last
        return last if isinstance(last, tuple) and last and isinstance(last[0], str) else None

    def has_connected(self, address: tuple[Any, ...]) -> bool:
        """Whether an address is one that the test connected to."""
        return any(one.address == address for one in self._noted)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take note of an event.

        It runs in whatever thread binds or connects, before that is done, and must not raise.
        """
        sock, address = arguments
        try:
            if _family(sock) not in FAMILIES or _type(sock) not in KINDS:
                return
            if event == "socket.bind":
                alive = [ref for ref in self._bound[1 - NOTED :] if ref() is not None]
                self._bound = [*alive, weakref.ref(sock)]
            elif isinstance(address, tuple) and isinstance(address[0], str) and isinstance(address[1], int):
                self._noted.append(self._attempt(sock, address, sys._getframe(1)))
        # It is closed, or what was given is no address: who connects is told. Or it is of C, without weak references.
        except (OSError, IndexError, TypeError):
            return

    def _attempt(self, sock: Any, address: tuple[Any, ...], frame: FrameType | None) -> Attempt:
        while frame is not None and frame.f_globals is vars(_audit):
            frame = frame.f_back
        assert frame is not None  # it is that of who connects
        kind, cookie, (host, port) = KINDS[_type(sock)], syscalls.cookie_of(sock), address[:2]
        bound = list(self._listening(kind, port))
        return Attempt(kind, host, port, cookie, bound, address, weakref.ref(sock), id(frame), frame.f_code)

    def _listening(self, kind: str, port: int) -> Iterator[Bound]:
        for ref in self._bound:
            sock = ref()
            try:
                if sock is None or KINDS[_type(sock)] != kind:
                    continue
                host, bound = _name(sock)[:2]
                if bound == port and (kind == "udp" or _option(sock, *LISTENS)):
                    yield Bound(syscalls.cookie_of(sock), host)
            except OSError:  # it is closed
                continue

    def refused(self, error: BaseException) -> Attempt | None:
        """Return the attempt whose refusal a test has failed by, if it is beyond doubt."""
        for one in related(error):
            if isinstance(one, OSError) and (one.errno == errno.ECONNREFUSED or REFUSED in str(one)):
                found = self._attempt_of(one)
                if found is not None:
                    return found
        return None

    def given_up(self, error: BaseException) -> Attempt | None:
        """Return the last attempt of a test that has failed by an error of the system, if the same frame began it."""
        noted = list(self._noted)[-1:]
        frames = [frame for one in related(error) if isinstance(one, OSError) for frame, _ in frames_of(one)]
        return next((one for one in noted if any(map(one.is_of, frames))), None)

    def _attempt_of(self, error: OSError) -> Attempt | None:
        text, frames = str(error), [frame for frame, _ in frames_of(error)]
        noted = list(reversed(self._noted))
        told = (one for one in noted if repr(one.address) in text)  # by asyncio, trio and create_connection of ours
        begun = (one for one in noted if frames and one.is_of(frames[-1]))
        # A datagram is refused at a later call than that which connects.
        held = (one for one in noted if one.kind == "udp" and any(map(one.is_held_by, frames[-2:])))
        return next(told, None) or next(begun, None) or next(held, None)


def frames_of(error: BaseException) -> Iterator[tuple[FrameType, int]]:
    """Yield the frames and lines of a traceback, the innermost last."""
    following = error.__traceback__
    while following is not None:
        yield following.tb_frame, following.tb_lineno
        following = following.tb_next


def related(error: BaseException) -> list[BaseException]:
    """Return an exception and those that led to it, or that it is a group of."""
    found: dict[int, BaseException] = {}
    left: list[Any] = [error]
    while left and len(found) < RELATED:
        one = left.pop()
        if isinstance(one, BaseException) and id(one) not in found:
            found[id(one)] = one
            members = getattr(one, "exceptions", ())
            left += [*(members if isinstance(members, (tuple, list)) else ()), one.__context__, one.__cause__]
    return list(found.values())


def vars_of(instance: object) -> list[Any]:
    """Return the values of the attributes of an object, as far as it has a dictionary of them."""
    attributes = getattr(instance, "__dict__", None)
    return list(attributes.values()) if isinstance(attributes, dict) else []
