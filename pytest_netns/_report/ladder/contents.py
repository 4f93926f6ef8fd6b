"""What is in a packet, as far as it matters to a conversation."""

from __future__ import annotations

from typing import NamedTuple

from ..._frames.decoding import Packet
from ..._frames.dns import DNS
from ..._frames.ethernet import ARP, Ethernet
from ..._frames.icmp import ICMP, ICMPv6
from ..._frames.ip import IP, Fragment, IPv4
from ..._frames.layer import Layer
from ..._frames.transport import TCP, UDP, Ported
from ..._frames.tunnels import GRE, VXLAN
from .labels import is_fragment

IGMP = 2


class Ends(NamedTuple):
    """The sockets between which a packet goes: addresses and ports, which are 0 if there are none."""

    kind: type[Layer] | None
    source: tuple[str, int] | None
    destination: tuple[str, int] | None

    @property
    def opposite(self) -> Ends:
        """Those of an answer."""
        return Ends(self.kind, self.destination, self.source)


class Content:
    """The layers of a packet that matter: of what is in a tunnel, where there is one."""

    __slots__ = ("arp", "dns", "ends", "ethernet", "ip", "packet", "transport")

    def __init__(self, packet: Packet) -> None:
        self.packet = packet
        self.ethernet: Ethernet | None = None
        """The outermost one."""
        self.ip: IP | None = None
        self.transport: TCP | UDP | ICMP | None = None
        self.arp: ARP | None = None
        self.dns: DNS | None = None
        for layer in packet:
            if isinstance(layer, (TCP, UDP, ICMP)):
                self.transport = layer
            elif isinstance(layer, IP):
                self.ip = layer
            elif isinstance(layer, Ethernet):
                self.ethernet = self.ethernet or layer
            elif isinstance(layer, ARP):
                self.arp = layer
            elif isinstance(layer, DNS):
                self.dns = layer
            elif isinstance(layer, (VXLAN, GRE)):
                self.transport = None
        self.ends = ends_of(self.ip, self.transport)

    @property
    def tcp(self) -> TCP | None:
        return self.transport if isinstance(self.transport, TCP) else None

    @property
    def fragments(self) -> list[IPv4 | Fragment]:
        """The headers that say that there are other fragments."""
        return [layer for layer in self.packet if is_fragment(layer)]

    @property
    def is_request(self) -> bool:
        """Whether an answer is expected."""
        transport, dns, tcp = self.transport, self.dns, self.tcp
        if self.arp:
            return self.arp.operation == ARP.REQUEST
        if isinstance(transport, ICMPv6) and transport.type == ICMPv6.SOLICITATION:
            # That of duplicate address detection hopes for none.
            return self.ip is not None and self.ip.source != "::"
        if isinstance(transport, ICMP):
            return transport.is_echo and "request" in transport.description
        if dns and isinstance(transport, UDP):
            return not dns.is_response
        return tcp is not None and tcp.syn and not tcp.ack

    @property
    def is_neighbourly(self) -> bool:
        """Whether it is what no program has asked for: ARP, neighbour discovery, groups, or a protocol below IP."""
        if self.arp or self.ip is None or self.ip.protocol == IGMP:
            return True
        icmp = self.transport
        return isinstance(icmp, ICMPv6) and (icmp.is_neighbour_discovery or icmp.is_mld)


def ends_of(ip: IP | None, transport: TCP | UDP | ICMP | None) -> Ends:
    """Return the sockets between which a packet goes."""
    if ip is None:
        return Ends(None, None, None)
    source, destination = transport.ports if isinstance(transport, Ported) else (0, 0)
    kind: type[Layer] | None = type(transport) if transport else None
    return Ends(kind, (ip.source, source), (ip.destination, destination))
