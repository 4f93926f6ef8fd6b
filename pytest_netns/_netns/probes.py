"""Packets that find out whether an address, or a TCP port of it, answers from inside a namespace."""

from __future__ import annotations

import contextlib
import errno
import itertools
import posix
import select
import socket
import struct
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from .._errors import NetNSPermissionError, errno_name, is_meant
from .._linux import syscalls
from .icmp import ANSWERED, FAILED, OF_FAMILY, REFUSED, Heard, parse, request

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

PAUSES = (0.1, 0.2, 0.4, 0.8, 1.0)  # seconds between tries; the last one repeats
MakeSocket = Callable[..., socket.socket]
IPV6_UNICAST_HOPS = 16  # <linux/in6.h>
NUMBERS = struct.Struct("!HH")


class Target(NamedTuple):
    """An address to try."""

    family: int
    address: str
    sockaddr: Any


class _Listener:
    """A raw socket that hears what ICMP of a family comes to a namespace."""

    def __init__(self, make: MakeSocket, family: int) -> None:
        self.family = family
        self.sock = make(family, socket.SOCK_RAW, OF_FAMILY[socket.AddressFamily(family)].protocol)
        self.sock.setblocking(False)

    def heard(self) -> Iterator[Heard]:
        while True:
            try:
                packet, sender = self.sock.recvfrom(65535)
            except BlockingIOError:
                return
            found = parse(self.family, packet, sender[0])
            if found is not None:
                yield found


class Probe:
    """Tries one address again and again, and notes what comes back.

    :param target: the address.
    """

    what: tuple[str, str]
    """What it sends, as one and as many."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.tries = 0
        self.heard: list[Heard] = []
        self.seconds: float | None = None
        """How long the answer took, if there is one."""
        self._sent = 0.0
        self._pauses = itertools.chain(PAUSES, itertools.repeat(PAUSES[-1]))
        self.next_try = 0.0

    @property
    def last(self) -> Heard | None:
        """What came back last, where it says most."""
        return self.heard[-1] if self.heard else None

    def try_again(self) -> None:
        now = syscalls.monotonic()
        if now >= self.next_try:
            self.next_try = now + next(self._pauses)
            self.send()

    def note(self, heard: Heard) -> None:
        if heard.kind == ANSWERED and self.seconds is None:
            self.seconds = syscalls.monotonic() - self._sent
        self.heard.append(heard)

    def note_failure(self, number: int) -> None:
        self.note(Heard(FAILED, f"here: {errno_name(number)}", number=number))

    def send(self) -> None:
        raise NotImplementedError

    def sockets(self) -> dict[socket.socket, int]:
        """Return what to wait for, with the events of poll(2)."""
        raise NotImplementedError

    def look(self) -> None:
        """Note what has come back."""
        raise NotImplementedError

    def close(self) -> None:
        for sock in self.sockets():
            sock.close()


class Echo(Probe):
    """Sends ICMP echo requests.

    :param make: makes a socket in the namespace.
    :param hops: how far they may go, as their time to live.
    """

    what = "an echo request", "echo requests"

    def __init__(self, make: MakeSocket, target: Target, hops: int | None = None) -> None:
        super().__init__(target)
        self._listener = _Listener(make, target.family)
        self._protocol = OF_FAMILY[socket.AddressFamily(target.family)].protocol
        self._identifier = int.from_bytes(posix.urandom(2), "big")
        self._times: dict[int, float] = {}
        if hops is not None:
            ipv4, ipv6 = (socket.IPPROTO_IP, socket.IP_TTL), (socket.IPPROTO_IPV6, IPV6_UNICAST_HOPS)
            self._listener.sock.setsockopt(*(ipv4 if target.family == socket.AF_INET else ipv6), hops)

    def send(self) -> None:
        self.tries += 1
        self._times[self.tries & 0xFFFF] = syscalls.monotonic()
        host, _, *others = self.target.sockaddr
        packet = request(self.target.family, self._identifier, self.tries & 0xFFFF)
        try:
            self._listener.sock.sendto(packet, (host, 0, *others))
        except OSError as error:
            self.note_failure(error.errno or 0)

    def sockets(self) -> dict[socket.socket, int]:
        return {self._listener.sock: select.POLLIN}

    def look(self) -> None:
        for heard in self._listener.heard():
            if heard.reply is not None and heard.reply[0] == self._identifier and heard.reply[1] in self._times:
                self._sent = self._times[heard.reply[1]]
                self.note(heard)
            elif heard.about is not None:
                _, protocol, start = heard.about
                if protocol == self._protocol and NUMBERS.unpack_from(start, 4)[0] == self._identifier:
                    self.note(heard)


class Connection(Probe):
    """Connects over TCP; the kernel repeats what is lost."""

    what = "a connection over TCP", "connections over TCP"

    def __init__(self, make: MakeSocket, target: Target) -> None:
        super().__init__(target)
        self._make = make
        self._sock: socket.socket | None = None
        self._port = 0
        self._listener: _Listener | None = None
        with contextlib.suppress(NetNSPermissionError):  # without CAP_NET_RAW, the errno of the connection has to do
            self._listener = _Listener(make, target.family)

    def send(self) -> None:
        if self._sock is not None:
            return  # the kernel is at it
        self.tries += 1
        self._sent = syscalls.monotonic()
        self._sock = sock = self._make(self.target.family, socket.SOCK_STREAM)
        sock.setblocking(False)
        number = sock.connect_ex(self.target.sockaddr)
        if number not in (0, errno.EINPROGRESS):
            self._ended(number)
            return
        self._port = sock.getsockname()[1]

    def sockets(self) -> dict[socket.socket, int]:
        found = {} if self._sock is None else {self._sock: select.POLLOUT}
        return found if self._listener is None else {**found, self._listener.sock: select.POLLIN}

    def look(self) -> None:
        if self._sock is not None and _is_ready(self._sock):
            self._ended(self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        else:
            self.heard += self._said()

    def _said(self) -> list[Heard]:
        """Return what ICMP said about the connection; it came before the connection failed of it."""
        ports = NUMBERS.pack(self._port, self.target.sockaddr[1])
        found = [] if self._listener is None else list(self._listener.heard())
        return [one for one in found if one.about and one.about[1] == socket.IPPROTO_TCP and one.about[2][:4] == ports]

    def _ended(self, number: int) -> None:
        sock, self._sock = self._sock, None
        if sock is not None:
            sock.close()
        said = self._said()
        if said:
            self.heard += said
        elif number == 0:
            self.note(Heard(ANSWERED, "a connection"))
        elif number == errno.ECONNREFUSED:
            self.note(Heard(REFUSED, f"a TCP reset from {self.target.address}", self.target.address, number=number))
        else:
            self.note_failure(number)


def _is_ready(sock: socket.socket) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    return bool(poll.poll(0))


def run(probes: Iterable[Probe], deadline: float, is_enough: Callable[[list[Probe]], bool]) -> None:
    """Have probes try until that is enough, or until a time of ``syscalls.monotonic()``."""
    probes = list(probes)
    while True:
        for probe in probes:
            probe.try_again()
            probe.look()
        now = syscalls.monotonic()
        if is_enough(probes) or now >= deadline:
            return
        poll = select.poll()
        for probe in probes:
            for sock, events in probe.sockets().items():
                poll.register(sock, events)
        until = min(deadline, *(probe.next_try for probe in probes)) if probes else deadline
        poll.poll(max(0.0, until - now) * 1000 + 1)


@contextlib.contextmanager
def closing(probes: list[Probe]) -> Iterator[list[Probe]]:
    """Close probes, those also that are added, at the end of a block."""
    try:
        yield probes
    finally:
        for probe in probes:
            probe.close()
