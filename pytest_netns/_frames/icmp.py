"""ICMP of IPv4 and of IPv6: errors, echoes, neighbours, routers and groups."""

from __future__ import annotations

import socket

from .ethernet import mac
from .layer import Layer

OF_IPV4 = {
    (0, 0): "echo reply",
    (3, 0): "network unreachable",
    (3, 1): "host unreachable",
    (3, 2): "protocol unreachable",
    (3, 3): "port unreachable",
    (3, 4): "fragmentation needed",
    (3, 5): "source route failed",
    (3, 9): "network prohibited",
    (3, 10): "host prohibited",
    (3, 13): "administratively prohibited",
    (5, 0): "redirect",
    (5, 1): "redirect",
    (8, 0): "echo request",
    (9, 0): "router advertisement",
    (10, 0): "router solicitation",
    (11, 0): "TTL exceeded",
    (11, 1): "fragment missing",
    (12, 0): "parameter problem",
}
OF_IPV6 = {
    (1, 0): "no route",
    (1, 1): "administratively prohibited",
    (1, 2): "beyond scope of source",
    (1, 3): "address unreachable",
    (1, 4): "port unreachable",
    (1, 5): "source address failed policy",
    (1, 6): "route rejected",
    (2, 0): "packet too big",
    (3, 0): "hop limit exceeded",
    (3, 1): "fragment missing",
    (4, 0): "erroneous header",
    (4, 1): "unknown next header",
    (4, 2): "unknown option",
    (128, 0): "echo request",
    (129, 0): "echo reply",
    (130, 0): "MLD query",
    (131, 0): "MLD report",
    (132, 0): "MLD done",
    (133, 0): "router solicitation",
    (134, 0): "router advertisement",
    (135, 0): "neighbour solicitation",
    (136, 0): "neighbour advertisement",
    (137, 0): "redirect",
    (143, 0): "MLDv2 report",
}


class ICMP(Layer):
    """A message of ICMP for IPv4."""

    __slots__ = ()
    name = "ICMP"
    minimum = 8
    KINDS = OF_IPV4
    ERRORS = frozenset({3, 5, 11, 12})
    ECHOES = frozenset({0, 8})
    TOO_BIG = (3, 4)

    @property
    def type(self) -> int:
        return self.data[self.start]

    @property
    def code(self) -> int:
        return self.data[self.start + 1]

    @property
    def description(self) -> str:
        """What it says, in words."""
        return self.KINDS.get((self.type, self.code)) or f"type {self.type} code {self.code}"

    @property
    def is_error(self) -> bool:
        """Whether it says what became of a packet, whose beginning it carries."""
        return self.type in self.ERRORS

    @property
    def is_echo(self) -> bool:
        return self.type in self.ECHOES

    @property
    def identifier(self) -> int | None:
        return self.number(4, 2) if self.is_echo else None

    @property
    def sequence(self) -> int | None:
        return self.number(6, 2) if self.is_echo else None

    @property
    def mtu(self) -> int | None:
        """The largest packet that would have been forwarded, in bytes."""
        return self.number(4, 4) & 0xFFFF if (self.type, self.code) == self.TOO_BIG else None


class ICMPv6(ICMP):
    """A message of ICMP for IPv6: neighbour discovery and MLD, too."""

    __slots__ = ()
    name = "ICMPv6"
    KINDS = OF_IPV6
    ERRORS = frozenset({1, 2, 3, 4})
    ECHOES = frozenset({128, 129})
    TOO_BIG = (2, 0)
    SOLICITATION, ADVERTISEMENT = 135, 136

    @property
    def mtu(self) -> int | None:
        return self.number(4, 4) if self.type == 2 else None

    @property
    def is_neighbour_discovery(self) -> bool:
        """Whether it asks for a neighbour or a router, or answers for one."""
        return 133 <= self.type <= 137

    @property
    def is_mld(self) -> bool:
        """Whether it is about who listens to which group."""
        return 130 <= self.type <= 132 or self.type == 143

    @property
    def target(self) -> str | None:
        """The address that a neighbour solicitation or advertisement is about."""
        address = self.part(8, 16)
        if self.type not in (self.SOLICITATION, self.ADVERTISEMENT) or len(address) < 16:
            return None
        return socket.inet_ntop(socket.AF_INET6, address)

    @property
    def link_address(self) -> str | None:
        """The Ethernet address among the options of neighbour discovery."""
        # Options begin behind the header, the lifetimes of an advertisement, or one or two addresses.
        begins = {133: 8, 134: 16, 135: 24, 136: 24, 137: 40}.get(self.type)
        rest = self.data[self.start + begins : self.end] if begins else b""
        while len(rest) >= 8 and rest[1]:
            if rest[0] in (1, 2) and rest[1] == 1:
                return mac(rest[2:8])
            rest = rest[8 * rest[1] :]
        return None
