"""Where each frame was seen, and by what it is recognized elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..._frames.decoding import Packet, decode
from ..._frames.ethernet import VLAN, Ethernet
from ..._frames.frame import Frame
from ..._frames.icmp import ICMP
from ..._frames.ip import IP, IPv4
from ..._frames.transport import TCP, UDP, Ported
from .recording import End

CHECKSUMS: dict[type, int] = {TCP: 16, UDP: 6, ICMP: 2}
"""Where in the header the checksum is."""


class Translatable(NamedTuple):
    """What of a packet no NAT changes, and what it may change."""

    rest: tuple[object, ...]
    source: tuple[str, int]
    destination: tuple[str, int]


class Sighting:
    """A frame at an interface."""

    __slots__ = ("frame", "is_outgoing", "key", "packet", "time", "where")

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.packet: Packet = decode(frame)
        self.time = frame.time
        self.where: End = (frame.namespace, frame.interface)
        self.is_outgoing = frame.is_outgoing
        self.key = key_of(self.packet)
        """Equal for the same packet wherever it is seen: routers, switches and tunnels don't change what is in it."""

    @property
    def namespace(self) -> str:
        return self.frame.namespace

    @property
    def ethernet(self) -> Ethernet | None:
        return self.packet.get(Ethernet)

    @property
    def ip(self) -> IP | None:
        """The innermost header of IP: that of the packet itself, where there is a tunnel."""
        found = self.packet.all(IP)
        return found[-1] if found else None


def sightings_of(frames: Iterable[Frame]) -> list[Sighting]:
    """Return where frames were seen, the first sighting first."""
    return [Sighting(frame) for frame in sorted(frames, key=lambda frame: frame.time)]


def transport_of(packet: Packet) -> TCP | UDP | ICMP | None:
    """Return the innermost layer of those kinds."""
    found = [layer for layer in packet if isinstance(layer, (TCP, UDP, ICMP))]
    return found[-1] if found else None


def key_of(packet: Packet) -> bytes:
    """Return a packet from the innermost header of IP on, but for hop limit, type of service and checksums."""
    ips = packet.all(IP)
    if not ips:
        link = [layer for layer in packet if isinstance(layer, (Ethernet, VLAN))]
        return link[-1].payload if link else packet.last.data
    ip = ips[-1]
    content = bytearray(ip.data[ip.start : ip.stop])
    if isinstance(ip, IPv4):
        content[1] = content[8] = content[10] = content[11] = 0
    else:
        content[0] = content[1] = content[7] = 0
    transport = transport_of(packet)
    if transport and transport.start > ip.start:
        offset = next(at for kind, at in CHECKSUMS.items() if isinstance(transport, kind))
        at = transport.start - ip.start + offset
        content[at : at + 2] = b"\0\0"
    return bytes(content)


def translatable(sighting: Sighting) -> Translatable | None:
    """Return what of a packet a NAT changes and what it doesn't, if there is enough to recognize it by."""
    ip, transport = sighting.ip, transport_of(sighting.packet)
    if ip is None or transport is None or transport.start < ip.start:
        return None
    if isinstance(transport, Ported):
        source, destination = transport.ports
    else:
        source = destination = 0
    rest: tuple[object, ...] = (ip.version, type(transport), transport.payload)
    if isinstance(transport, TCP):
        rest += (transport.sequence, transport.acknowledged, transport.flags)
    elif isinstance(transport, ICMP):
        rest = (ip.version, ICMP, transport.type, transport.code, *echo_of(transport))
    elif isinstance(ip, IPv4):
        rest += (ip.identification,)
    return Translatable(rest, (ip.source, source), (ip.destination, destination))


def echo_of(message: ICMP) -> tuple[object, ...]:
    """Return what is to recognize a message by; the packet that an error quotes is translated, too."""
    return (message.sequence, message.payload) if message.is_echo else (len(message.payload),)
