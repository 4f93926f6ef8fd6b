"""What is known of a test that failed: its namespaces as they were and are, and what it had tried."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import ipaddress
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..._errors import NetNSError
from ..._snapshot.counters import moved
from ..._snapshot.records import Link, NftRule, Socket
from ..._snapshot.snapshot import Snapshot
from .failure import Failure

if TYPE_CHECKING:
    from ..._frames.frame import Frame
    from ..._netns.tried import Tried
    from ..._snapshot.raw import Look
    from ..._topology.plan import Planned


class Finding(NamedTuple):
    """A cause that was found."""

    rank: int
    """The lower, the more specific it is."""
    topic: tuple[str, ...]
    """What it is about: of several about the same, only the first is said."""
    text: str
    remedy: str = ""


TRACED, TALKED, COUNTED, SEEN = range(4)
"""How specific a cause is: a packet was followed, both ends are known, the kernel has counted, or it is just so."""


@dataclasses.dataclass
class Subject:
    """A namespace of a test that failed."""

    name: str
    """What errors call it, as ``namespace 'client'``."""
    now: Snapshot
    before: Snapshot | None
    """As it was when the test began; ``None`` if that is not known."""
    counters_before: dict[str, int]
    packets_before: dict[tuple[Any, ...], int]
    """What the rules of nftables had counted, by their table, chain and number."""
    network: object = None
    """The network that it is a node of, if it is."""
    planned: Planned | None = None
    expired: int = 0
    """How many packets we have sent from it whose TTL was to run out."""
    look: Look | None = None
    """What may still be asked of it."""
    cookie: int = 0
    """As of ``syscalls.cookie_of``."""

    @property
    def label(self) -> str:
        return self.now.label

    @functools.cached_property
    def moved(self) -> dict[str, int]:
        """By how much its counters have risen."""
        return moved(self.counters_before, dict(self.now.counters))

    def rose(self, *names: str) -> int:
        """Return by how much some counters have risen together."""
        return sum(self.moved.get(name, 0) for name in names)

    def packets(self, rule: NftRule) -> int:
        """Return how many packets a rule of nftables has counted since the test began."""
        return (rule.packets or 0) - self.packets_before.get((*rule[:3], rule.handle), 0)

    @functools.cached_property
    def translates(self) -> bool:
        """Whether it changes the addresses of packets that it forwards."""
        return any(rule.verdict in ("masquerade", "snat", "dnat", "redir") for rule in self.now.nft_rules) or (
            self.planned is not None and self.planned.outside is not None
        )

    def link(self, index: int) -> Link | None:
        return next((link for link in self.now.links if link.number == index), None)

    def has(self, address: str) -> bool:
        return any(one.address == address for one in self.now.addresses)

    def interface_of(self, address: str) -> Link | None:
        names = [one.interface for one in self.now.addresses if one.address == address]
        return next((link for link in self.now.links if link.name in names), None)

    def planned_way(self, address: str) -> Link | None:
        """Return the interface by which its network has planned an address to be reached."""
        to = ipaddress.ip_address(address)
        for port in self.planned.ports if self.planned is not None else ():
            if any(to in one.network for one in port.addresses):
                return self.link(port.index)
        routes = self.planned.routes if self.planned is not None else []
        fitting = [route for route in routes if to in route.to]
        if not fitting:
            return None
        return self.link(max(fitting, key=lambda route: route.to.prefixlen).port.index)

    def planned_link(self, address: str) -> Link | None:
        """Return the interface that was planned to have an address."""
        for port in self.planned.ports if self.planned is not None else ():
            if any(str(one.ip) == address for one in port.addresses):
                return self.link(port.index)
        return None


@dataclasses.dataclass
class Case:
    """A test that failed, and what is known of it."""

    subjects: list[Subject]
    failure: Failure
    duration: float
    """How long ago the test began, in seconds."""
    frames: Sequence[Frame] = ()
    """What has crossed the links, if that was recorded."""
    elsewhere: Finding | None = None
    """Who listens in another namespace, if the test was refused in one and that is certain."""

    def owners(self, of: Subject, address: str) -> list[Subject]:
        """Return who has an address, in the network of a namespace, or among those that belong to none."""
        return [one for one in self.subjects if one.network is of.network and one.has(address)]

    def owner(self, of: Subject, address: str) -> Subject | None:
        """Return who has an address, if that is only one."""
        found = self.owners(of, address)
        return found[0] if len(found) == 1 else None

    def should_have(self, of: Subject, address: str) -> Subject | None:
        """Return the node of the network that is planned to have an address."""
        for one in self.subjects:
            ports = one.planned.ports if one.planned is not None and one.network is of.network else []
            if any(str(interface.ip) == address for port in ports for interface in port.addresses):
                return one
        return None

    def starts(self, attempt: Tried) -> list[Subject]:
        """Return where something may have been tried."""
        return [one for one in self.subjects if one.name == attempt.where]

    def attempts(self) -> Iterator[tuple[Subject, Tried]]:
        for attempt in self.failure.attempts:
            for subject in self.starts(attempt):
                yield subject, attempt

    def sockets(self) -> Iterator[tuple[Subject, Socket]]:
        for subject in self.subjects:
            for one in subject.now.sockets:
                yield subject, one

    def other_end(self, subject: Subject, of: Socket) -> tuple[Subject, Socket] | None:
        """Return the socket at the other end of a connection, and where that is."""
        wanted = (of.kind, of.peer, of.peer_port, of.address, of.port)
        owners = [subject] if subject.has(of.peer) else self.owners(subject, of.peer)  # each has 127.0.0.1
        for other in owners:
            for one in other.now.sockets:
                if (one.kind, one.address, one.port, one.peer, one.peer_port) == wanted:
                    return other, one
        return None


def listeners(subject: Subject, kind: str, port: int | None = None) -> list[Socket]:
    """Return the sockets that take connections, or datagrams from anybody."""
    state = "LISTEN" if kind == "tcp" else "UNCONN"
    return [
        one
        for one in subject.now.sockets
        if one.kind == kind and one.state == state and one.port and port in (None, one.port)
    ]


def takes(sock: Socket, address: str) -> bool:
    """Whether a socket takes what comes for an address of its namespace."""
    own, other = ipaddress.ip_address(sock.address), ipaddress.ip_address(address)
    if int(own):
        return own == other
    return own.version == other.version or (own.version == 6 and sock.takes_ipv4)


def said(sockets: Sequence[Socket]) -> str:
    """Return sockets in one line."""
    texts = dict.fromkeys(f"{one.local}{f' [{one.holders[0]}]' if one.holders else ''}" for one in sockets)
    more = len(texts) - 3
    return ", ".join([*texts][:3]) + (f" and {more} more" if more > 0 else "")


def plural(number: int, what: str) -> str:
    return f"{number} {what}" if number != 1 else f"1 {what.removesuffix('s')}"


@contextlib.contextmanager
def untold() -> Iterator[None]:
    """Leave out a cause that cannot be told, since the namespace cannot be asked any more."""
    with contextlib.suppress(NetNSError, TimeoutError):
        yield
