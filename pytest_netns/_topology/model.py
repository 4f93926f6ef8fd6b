"""What a network is made of, as its text or a builder says it, before anything is worked out or made."""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import TypeAlias

Address: TypeAlias = "ipaddress.IPv4Address | ipaddress.IPv6Address"
IPNetwork: TypeAlias = "ipaddress.IPv4Network | ipaddress.IPv6Network"

HOST, ROUTER, SWITCH, NAT = KINDS = ("host", "router", "switch", "nat")


@dataclasses.dataclass(frozen=True)
class Position:
    """Where in a text something stands, for errors."""

    line: int
    """Its line, from 0."""
    column: int
    """Its first character in the line, from 0."""
    length: int = 1


@dataclasses.dataclass
class Node:
    """A namespace of a network."""

    name: str
    kind: str | None = None
    """One of ``KINDS``, or ``None`` where the links decide."""
    addresses: list[Address] = dataclasses.field(default_factory=list)
    """Those that were given; each is taken on the link whose network contains it."""
    ipv6: bool = True
    mtu: int | None = None
    """That of all its interfaces, in bytes."""
    sysctl: dict[str, str] = dataclasses.field(default_factory=dict)
    routes: bool = True
    """Whether it gets routes beyond those of its own links; without, a routing daemon is to find them."""
    nat: str | None = None
    """The way in which a NAT translates; see ``nat.py``."""
    outside: str | None = None
    """The interface of a NAT that is outside, by default its last."""
    at: Position | None = dataclasses.field(default=None, compare=False, repr=False)
    places: dict[str, Position] = dataclasses.field(default_factory=dict, compare=False, repr=False)
    """Where its settings stand, by their text: ``"mtu"``, ``"192.0.2.80"``, ``"net.ipv4.ip_forward"``, ..."""


@dataclasses.dataclass
class End:
    """One end of a link."""

    node: str
    interface: str | None = None
    """A name, or ``None`` for the next of ``eth0``, ``eth1``, ..."""
    at: Position | None = dataclasses.field(default=None, compare=False, repr=False)


@dataclasses.dataclass
class Link:
    """A link between two nodes."""

    left: End
    right: End
    networks: list[IPNetwork] = dataclasses.field(default_factory=list)
    """At most one of each family."""
    mtu: int | None = None
    access: int | None = None
    """The VLAN of who is at a switch's port without tags."""
    trunk: tuple[int, ...] = ()
    """The VLANs that two switches, or a switch and a node, tell apart by tags."""
    at: Position | None = dataclasses.field(default=None, compare=False, repr=False)
    """From its left end to its right end."""
    places: dict[str, Position] = dataclasses.field(default_factory=dict, compare=False, repr=False)
    """Where its settings stand, by their text: ``"mtu"``, ``"192.0.2.0/24"``, ``"access"``, ..."""

    @property
    def ends(self) -> tuple[End, End]:
        return self.left, self.right


@dataclasses.dataclass(eq=False)
class Network:
    """Nodes and links, in the order in which they were named.

    Two are equal if the same would be made of them, whether a router was called one or only stood between two links.
    """

    nodes: dict[str, Node] = dataclasses.field(default_factory=dict)
    links: list[Link] = dataclasses.field(default_factory=list)
    between: set[str] = dataclasses.field(default_factory=set)
    """The nodes that stood between two links of a line, or closed a ring: routers, if nothing else was said."""
    text: str | None = None
    """The text that it was read from, for errors."""

    def kinds(self) -> dict[str, str]:
        """Return the kind of each node: the given one, or what the links say."""
        return {name: node.kind or (ROUTER if name in self.between else HOST) for name, node in self.nodes.items()}

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Network):
            return NotImplemented
        return self.kinds() == other.kinds() and self.links == other.links and _bare(self) == _bare(other)

    __hash__ = None  # type: ignore[assignment]


def _bare(network: Network) -> list[Node]:
    """Return the nodes without their kinds."""
    return [dataclasses.replace(node, kind=None) for node in network.nodes.values()]
