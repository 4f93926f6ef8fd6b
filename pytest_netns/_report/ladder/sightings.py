"""Where each frame was seen, and by what it is recognized elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from ..._frames.decoding import decode
from ..._frames.ethernet import VLAN, Ethernet
from ..._frames.frame import Frame, in_order
from ..._frames.icmp import ICMP
from ..._frames.ip import IPv4
from ..._frames.transport import TCP, UDP
from .contents import Content
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

    __slots__ = ("content", "frame", "is_outgoing", "key", "time", "where")

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.content = Content(decode(frame))
        self.time = frame.time
        self.where: End = (frame.namespace, frame.interface)
        self.is_outgoing = frame.is_outgoing
        self.key = key_of(self.content)
        """Equal for the same packet wherever it is seen: routers, switches and tunnels don't change what is in it."""

    @property
    def namespace(self) -> str:
        return self.frame.namespace


def sightings_of(frames: Iterable[Frame]) -> list[Sighting]:
    """Return where frames were seen, the first sighting first."""
    return [Sighting(frame) for frame in in_order(frames)]


def key_of(content: Content) -> bytes:
    """Return a packet from the innermost header of IP on, but for hop limit, type of service and checksums."""
    ip, transport = content.ip, content.transport
    if ip is None:
        link = [layer for layer in content.packet if isinstance(layer, (Ethernet, VLAN))]
        return link[-1].payload if link else content.packet.last.data
    key = bytearray(ip.data[ip.start : ip.stop])
    if isinstance(ip, IPv4):
        key[1] = key[8] = key[10] = key[11] = 0
    else:
        key[0] = key[1] = key[7] = 0
    if transport and transport.start > ip.start:
        offset = next(at for kind, at in CHECKSUMS.items() if isinstance(transport, kind))
        at = transport.start - ip.start + offset
        key[at : at + 2] = b"\0\0"
    return bytes(key)


def translatable(sighting: Sighting) -> Translatable | None:
    """Return what of a packet a NAT changes and what it doesn't, if there is enough to recognize it by."""
    ip, transport, ends = sighting.content.ip, sighting.content.transport, sighting.content.ends
    if ip is None or transport is None or ends.source is None or ends.destination is None:
        return None
    rest: tuple[object, ...] = (ip.version, type(transport), transport.payload)
    if isinstance(transport, TCP):
        rest += (transport.sequence, transport.acknowledged, transport.flags)
    elif isinstance(transport, ICMP):
        rest = (ip.version, ICMP, transport.type, transport.code, *echo_of(transport))
    elif isinstance(ip, IPv4):
        rest += (ip.identification,)
    return Translatable(rest, ends.source, ends.destination)


def echo_of(message: ICMP) -> tuple[object, ...]:
    """Return what is to recognize a message by; the packet that an error quotes is translated, too."""
    return (message.sequence, message.payload) if message.is_echo else (len(message.payload),)
