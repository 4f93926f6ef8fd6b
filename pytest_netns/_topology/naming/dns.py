"""A DNS server for tests, whose answers, errors and silence the test sets."""

from __future__ import annotations

import errno
import select
import socket
import struct
import threading
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from ..._child.background import Background
from ..._errors import NetNSTimeoutError, NetNSUnsupportedError, is_meant

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

    from ..._netns.namespace import NetNS

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

PORT = 53
LENGTH = struct.Struct("!H")  # before each message over TCP: RFC 1035, 4.2.2
CLASSIC = 512  # bytes of an answer over UDP to who says nothing of a larger one: RFC 1035, 4.2.1
SEND_TIMEOUT = 1.0  # seconds for a client to take an answer over TCP
CLOSE_TIMEOUT = 5.0  # seconds for the thread to end
LINK_LOCAL = 253  # RT_SCOPE_LINK of <linux/rtnetlink.h>
IFA_F_TENTATIVE = 0x40  # <linux/if_addr.h>


class Query(NamedTuple):
    """A question that a DNS server was asked."""

    name: str
    """Without the dot at the end."""
    type: str
    """Such as ``"AAAA"``."""
    transport: str
    """``"udp"`` or ``"tcp"``."""
    client: str
    """The address that it came from."""


Query.__module__ = "pytest_netns"


class DNSServer:
    """A DNS server inside a namespace, over UDP and TCP, that knows what a test tells it.

    A name that it knows nothing of does not exist (NXDOMAIN). It is closed with its namespace, and is a context
    manager.

    :param ns: the namespace.
    :param addresses: those it listens on, by default all of the namespace.
    :raises NetNSUnsupportedError: dnspython is not installed.
    :raises OSError: an address cannot be bound.
    """

    __module__ = "pytest_netns"

    def __init__(self, ns: NetNS, addresses: Iterable[str] = ()) -> None:
        try:
            from .zone import Zone
        except ModuleNotFoundError as error:
            text = "a DNS server for tests needs dnspython: pip install 'pytest-netns[dns]'"
            raise NetNSUnsupportedError(errno.ENOPKG, text) from error
        self._zone = Zone()
        self._ns = ns
        self._lock = threading.Lock()
        self._queries: list[Query] = []
        self._is_closing = False
        self.addresses: tuple[str, ...] = tuple(addresses) or tuple(_addresses_of(ns))
        """Those it listens on."""
        self._udp: dict[int, socket.socket] = {}
        self._tcp: dict[int, socket.socket] = {}
        self._clients: dict[int, _Client] = {}
        try:
            for address in self.addresses:
                self._listen(address)
        except BaseException:
            self._close_sockets()
            raise
        self._thread = Background(self._serve)
        self._thread.wait(0)
        ns._on_close(self.close)

    def _listen(self, address: str) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        udp = self._ns.socket(family, socket.SOCK_DGRAM)
        self._udp[udp.fileno()] = udp
        udp.bind((address, PORT))
        udp.setblocking(False)
        tcp = self._ns.create_server((address, PORT), family=family)
        self._tcp[tcp.fileno()] = tcp
        tcp.setblocking(False)

    # What it knows

    def answer(self, name: str, type: str, *data: str, ttl: int = 60) -> None:
        """Answer questions for a name and a type, instead of what was set for them before.

        :param type: such as ``"A"``, ``"AAAA"``, ``"CNAME"``, ``"MX"`` or ``"TXT"``.
        :param data: each record as in a zone file, such as ``"192.0.2.1"`` or ``"10 mail.example."``; without any, the
            name exists and has none of this type.
        :param ttl: how long an answer may be kept, in seconds.
        :raises ValueError: there is no such name, type or record.
        """
        self._zone.answer(name, type, data, ttl)

    def error(self, name: str, code: str = "SERVFAIL") -> None:
        """Answer questions for a name with an error, instead of what was set for it before.

        :param code: such as ``"SERVFAIL"``, ``"REFUSED"`` or ``"NXDOMAIN"``.
        :raises ValueError: there is no such name or error.
        """
        self._zone.error(name, code)

    def silent(self, name: str) -> None:
        """Do not answer questions for a name, instead of what was set for it before.

        :raises ValueError: there is no such name.
        """
        self._zone.silent(name)

    @property
    def queries(self) -> list[Query]:
        """The questions that it was asked, in their order, as a new list."""
        with self._lock:
            return list(self._queries)

    # How it serves

    def _serve(self) -> None:
        poll = select.poll()
        for fd in (*self._udp, *self._tcp):
            poll.register(fd, select.POLLIN)
        while True:
            for fd, _ in poll.poll():
                if self._is_closing:
                    return
                if fd in self._udp:
                    self._take_datagram(self._udp[fd])
                elif fd in self._tcp:
                    self._accept(self._tcp[fd], poll)
                elif not self._take_stream(self._clients[fd]):
                    poll.unregister(fd)
                    self._clients.pop(fd).sock.close()

    def _take_datagram(self, sock: socket.socket) -> None:
        try:
            message, client = sock.recvfrom(65535)
            answer = self._respond(message, "udp", client[0])
            if answer is not None:
                sock.sendto(answer, client)
        except OSError:
            return  # nobody waits for it there any more, or the answer is lost, as datagrams may be

    def _accept(self, listener: socket.socket, poll: select.poll) -> None:
        try:
            sock, client = listener.accept()
        except OSError:
            return  # it was given up before
        sock.settimeout(SEND_TIMEOUT)
        self._clients[sock.fileno()] = _Client(sock, client[0])
        poll.register(sock.fileno(), select.POLLIN)

    def _take_stream(self, client: _Client) -> bool:
        """Answer what a client has sent; return whether it may send more."""
        try:
            received = client.sock.recv(65535)
            client.received += received
            for message in client.messages():
                answer = self._respond(message, "tcp", client.address)
                if answer is not None:
                    client.sock.sendall(LENGTH.pack(len(answer)) + answer)
        except OSError:
            return False
        return bool(received)

    def _respond(self, message: bytes, transport: str, client: str) -> bytes | None:
        asked = self._zone.question(message)
        if asked is not None:
            with self._lock:
                self._queries.append(Query(*asked, transport, client))
        return self._zone.respond(message, CLASSIC if transport == "udp" else None)

    # Its end

    def close(self) -> None:
        """End it; closing it again does nothing.

        :raises NetNSTimeoutError: its thread does not end.
        """
        if self._is_closing:
            return
        self._is_closing = True
        next(iter(self._tcp.values())).shutdown(socket.SHUT_RDWR)  # which ends a wait in poll(2)
        if not self._thread.wait(CLOSE_TIMEOUT):
            raise NetNSTimeoutError(errno.ETIMEDOUT, f"{self._ns}: the thread of its DNS server does not end")
        self._close_sockets()
        self._thread.result()

    def _close_sockets(self) -> None:
        for sock in (*self._udp.values(), *self._tcp.values(), *(client.sock for client in self._clients.values())):
            sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class _Client:
    """A client that is connected over TCP."""

    def __init__(self, sock: socket.socket, address: str) -> None:
        self.sock = sock
        self.address = address
        self.received = b""

    def messages(self) -> Iterable[bytes]:
        """Return the whole messages that have come."""
        while len(self.received) >= LENGTH.size:
            end = LENGTH.size + LENGTH.unpack_from(self.received)[0]
            if len(self.received) < end:
                return
            message, self.received = self.received[LENGTH.size : end], self.received[end:]
            yield message


def _addresses_of(ns: NetNS) -> list[str]:
    found: list[Any] = [
        entry.get("local") or entry.get("address")
        for entry in ns.ipr.get_addr()
        if entry["scope"] != LINK_LOCAL and not entry["flags"] & IFA_F_TENTATIVE
    ]
    if not found:
        raise OSError(errno.EADDRNOTAVAIL, f"{ns} has no address for a DNS server to listen on; bring lo up")
    return list(dict.fromkeys(found))
