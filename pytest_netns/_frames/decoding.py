"""What follows what in a frame."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from .dns import DNS, DNSOverTCP
from .ethernet import ARP, ARP_TYPE, IPV4, IPV6, VLAN, Ethernet
from .frame import Frame
from .http import HTTP
from .icmp import ICMP, ICMPv6
from .ip import IP, Authentication, Extension, Fragment, IPv4, IPv6
from .layer import Layer, Unknown
from .tls import TLS
from .transport import TCP, UDP
from .tunnels import GRE, VXLAN

L = TypeVar("L", bound=Layer)

ETHERTYPES: dict[int, type[Layer]] = {
    IPV4: IPv4,
    IPV6: IPv6,
    ARP_TYPE: ARP,
    0x8100: VLAN,
    0x88A8: VLAN,
    0x6558: Ethernet,  # within GRE
}
PROTOCOLS: dict[int, type[Layer]] = {
    0: Extension,
    1: ICMP,
    4: IPv4,
    6: TCP,
    17: UDP,
    41: IPv6,
    43: Extension,
    44: Fragment,
    47: GRE,
    51: Authentication,
    58: ICMPv6,
    60: Extension,
}
DNS_PORTS = frozenset({53, 5353})
VXLAN_PORTS = frozenset({4789, 8472})
"""That of RFC 7348, and Linux's own, which is older."""


class Packet:
    """The layers of a frame from the outermost on, decoded as far as they are asked for."""

    __slots__ = ("_is_whole", "_layers")

    def __init__(self, first: Layer) -> None:
        self._layers = [first]
        self._is_whole = False

    def __iter__(self) -> Iterator[Layer]:
        """Yield the layers, of which each is within the one before."""
        number = 0
        while number < len(self._layers) or self._grow():
            yield self._layers[number]
            number += 1

    def get(self, kind: type[L]) -> L | None:
        """Return the outermost layer of a kind."""
        for layer in self:
            if isinstance(layer, kind):
                return layer
        return None

    def all(self, kind: type[L]) -> list[L]:
        """Return the layers of a kind, the outermost first."""
        return [layer for layer in self if isinstance(layer, kind)]

    @property
    def last(self) -> Layer:
        """The innermost layer."""
        while self._grow():
            pass
        return self._layers[-1]

    def _grow(self) -> bool:
        """Decode one more layer, if there is one."""
        if not self._is_whole:
            found = follow(self._layers[-1])
            if found:
                self._layers.append(found)
                return True
            self._is_whole = True
        return False

    def __repr__(self) -> str:
        return f"<{' / '.join(layer.name for layer in self)}>"


def decode(frame: Frame) -> Packet:
    """Return the layers of a frame, which are decoded as they are asked for."""
    return Packet(as_layer(Ethernet, frame.data, 0, max(frame.length, len(frame.data))))


def quoted(message: ICMP) -> Packet | None:
    """Return the packet that an error of ICMP is about, of which it has the beginning."""
    if not message.is_error:
        return None
    # The packet is as long as its header says, which is more than the error carries.
    return Packet(as_layer(IPv6 if isinstance(message, ICMPv6) else IPv4, message.data, message.inner, 1 << 20))


def as_layer(kind: type[Layer], data: bytes, start: int, end: int) -> Layer:
    """Return a layer of a kind, or what is unknown if there is no such header."""
    return (kind if kind.fits(data, start, end) else Unknown)(data, start, end)


def follow(layer: Layer) -> Layer | None:
    """Return what a layer carries, if it carries anything."""
    guess = CARRIES.get(type(layer))
    inner, stop = layer.inner, layer.stop
    if guess is None or inner >= stop or inner > len(layer.data):
        return None
    return as_layer(guess(layer) or Unknown, layer.data, inner, stop)


def by_ethertype(layer: Ethernet | VLAN | GRE) -> type[Layer] | None:
    """Return what follows by its EtherType."""
    return ETHERTYPES.get(layer.ethertype)


def by_protocol(layer: IP | Extension) -> type[Layer] | None:
    """Return what follows by the number of its protocol."""
    return PROTOCOLS.get(layer.protocol)


def in_fragment(layer: IPv4 | Fragment) -> type[Layer] | None:
    """Return what follows, which is to be seen at the beginning of a datagram only."""
    return None if layer.offset else by_protocol(layer)


def in_udp(layer: UDP) -> type[Layer] | None:
    """Return what follows by the ports: those of VXLAN are chosen by the sender, but for the destination's."""
    if layer.destination_port in VXLAN_PORTS:
        return VXLAN
    return DNS if DNS_PORTS.intersection(layer.ports) else None


def in_tcp(layer: TCP) -> type[Layer] | None:
    """Return what follows by the port, or by what it looks like."""
    if DNS_PORTS.intersection(layer.ports):
        return DNSOverTCP
    return next((kind for kind in (TLS, HTTP) if kind.fits(layer.data, layer.inner, layer.stop)), None)


CARRIES: dict[type[Layer], Callable[[Any], type[Layer] | None]] = {
    Ethernet: by_ethertype,
    VLAN: by_ethertype,
    GRE: by_ethertype,
    IPv4: in_fragment,
    IPv6: by_protocol,
    Extension: by_protocol,
    Authentication: by_protocol,
    Fragment: in_fragment,
    UDP: in_udp,
    TCP: in_tcp,
    VXLAN: lambda layer: Ethernet,
    DNSOverTCP: lambda layer: DNS,
}
