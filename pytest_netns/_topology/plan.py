"""A network worked out: who forwards, what each interface is called, and its addresses; the same on every run."""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import TypeAlias

from . import model
from .model import IPNetwork, Link, Network, Node
from .text import words

IPInterface: TypeAlias = "ipaddress.IPv4Interface | ipaddress.IPv6Interface"


@dataclasses.dataclass(eq=False)
class Port:
    """An interface of a node."""

    node: Planned
    name: str
    index: int
    """Its number in its namespace, as the kernel counts."""
    mac: str
    link: Link
    mtu: int | None
    peer: Port = dataclasses.field(init=False, repr=False)
    segment: Segment | None = None
    """Where it is, or ``None`` for a port of a switch."""
    addresses: list[IPInterface] = dataclasses.field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.name} of {self.node.name!r}"


@dataclasses.dataclass(frozen=True)
class Route:
    """A route of a node."""

    to: IPNetwork
    via: model.Address
    port: Port

    def __str__(self) -> str:
        return f"the route to {self.to} via {self.via} ({self.port})"


@dataclasses.dataclass(eq=False)
class Planned:
    """A node, worked out."""

    node: Node
    kind: str
    number: int
    """Counted from 1 in the order of the text."""
    ipv6: bool = True
    """Whether it has addresses of IPv6."""
    ports: list[Port] = dataclasses.field(default_factory=list)
    routes: list[Route] = dataclasses.field(default_factory=list)
    outside: Port | None = None
    """The interface of a NAT that is outside."""

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def forwards(self) -> bool:
        return self.kind in (model.ROUTER, model.NAT)

    @property
    def translation(self) -> str:
        """How it translates if it is a NAT, one of ``words.NAT_KINDS``."""
        return self.node.nat or words.DEFAULT_NAT

    def leads_in(self, port: Port, version: int) -> bool:
        """Whether it forwards what comes by one of its interfaces to the addresses behind it.

        Nobody outside of a NAT knows the addresses behind it that it translates, those of IPv4.
        """
        return port is not self.outside or version == 6 or self.translation == words.NONE


@dataclasses.dataclass(eq=False)
class Segment:
    """Interfaces that reach each other without a router: the two of a link, or all of a switch or a VLAN."""

    ports: list[Port] = dataclasses.field(default_factory=list)
    networks: list[IPNetwork] = dataclasses.field(default_factory=list)
    at: model.Position | None = None


@dataclasses.dataclass
class Plan:
    """A network, worked out."""

    network: Network
    nodes: dict[str, Planned]
    segments: list[Segment]
    has_ipv6: bool = True
    """Whether the kernel has IPv6 at all."""

    ambiguous: set[tuple[int, int]] = dataclasses.field(default_factory=set)
    """The segments of which another one has the same addresses, by what identifies them and the version of IP."""
    reached: dict[str, frozenset[tuple[int, int]]] = dataclasses.field(default_factory=dict)
    """For each node the segments that it reaches without being translated, likewise, if some are ambiguous."""

    def owner(self, address: str, seen_from: Planned) -> str | None:
        """Return the node that has an address, of several the one that another node means."""
        found = [
            (port, name)
            for name, planned in self.nodes.items()
            for port in planned.ports
            if any(str(interface.ip) == address for interface in port.addresses)
        ]
        own = [port.segment for port in seen_from.ports]
        found.sort(key=lambda one: not any(one[0].segment is segment for segment in own))
        return found[0][1] if found else None

    def view_of(self, name: str) -> frozenset[tuple[int, int]]:
        """Return which of the ambiguous segments a node reaches: nodes with the same view have the same names."""
        return self.reached.get(name, frozenset()) & self.ambiguous

    def names(self, view: frozenset[tuple[int, int]] = frozenset()) -> dict[str, list[str]]:
        """Return the addresses of each node that has any, by its name; of a NAT first those that all others reach.

        An address that is also somebody else's is left out, but for those that reach the one and not the other.
        """
        found: dict[str, list[str]] = {}
        for name, planned in self.nodes.items():
            for port in sorted(planned.ports, key=lambda port: port is not planned.outside):
                for interface in port.addresses:
                    where = (id(port.segment), interface.version)
                    if where in view or where not in self.ambiguous:
                        found.setdefault(name, []).append(str(interface.ip))
        return found
