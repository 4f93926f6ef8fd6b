"""A packet, as rules see it, and the route that a kernel has for it."""

from __future__ import annotations

import dataclasses
import errno
import ipaddress
import socket
import struct
from typing import NamedTuple

from ..._linux import netlink, rtnetlink
from ..._snapshot import parsing
from ..._snapshot.records import Link
from .case import Subject

RTA_IIF, RTA_SRC = 3, 2  # <linux/rtnetlink.h>
LOCAL, UNICAST = rtnetlink.RTN_LOCAL, rtnetlink.RTN_UNICAST
PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17}
NEW = (8).to_bytes(4, "little")  # what conntrack says of the first packet of a connection: NF_CT_STATE_BIT(IP_CT_NEW)


@dataclasses.dataclass
class Packet:
    """A packet that was sent, or would be."""

    kind: str
    destination: str
    port: int = 0
    source: str = ""
    is_answer: bool = False

    def fields(self, into: Link | None = None, out: Link | None = None) -> dict[str, bytes]:
        """Return what a rule of nftables sees of it, as far as that is known."""
        version = ipaddress.ip_address(self.destination).version
        family = "ip" if version == 4 else "ip6"
        protocol = bytes([58 if (version, self.kind) == (6, "icmp") else PROTOCOLS[self.kind]])
        found = {f"{family} daddr": _packed(self.destination), "l4proto": protocol, "ip protocol": protocol}
        found["nfproto"] = bytes([2 if version == 4 else 10])
        if self.source:
            found[f"{family} saddr"] = _packed(self.source)
        if self.kind != "icmp" and not self.is_answer:
            found["dport"] = self.port.to_bytes(2, "big")
        if self.kind != "icmp" and self.is_answer:
            found["sport"] = self.port.to_bytes(2, "big")
        if not self.is_answer:
            found["ct state"] = NEW
        for name, link in (("i", into), ("o", out)):
            if link is not None:
                found[f"{name}ifname"] = link.name.encode().ljust(16, b"\0")
                found[f"{name}if"] = link.number.to_bytes(4, "little")
        return found


class Route(NamedTuple):
    """What the kernel says of a route to an address."""

    number: int = 0
    """The errno, if it has none."""
    is_local: bool = False
    link: Link | None = None
    gateway: str = ""
    source: str = ""


def _packed(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


def route(subject: Subject, packet: Packet, into: Link | None = None) -> Route:
    """Ask the kernel for the route of a packet, one that it sends itself or one that comes by a link.

    :raises NetNSError: it cannot be asked.
    """
    if subject.look is None:
        return Route(errno.ENODATA)
    packed = _packed(packet.destination)
    family = socket.AF_INET if len(packed) == 4 else socket.AF_INET6
    attributes = [netlink.attribute(rtnetlink.RTA_DST, packed)]
    if packet.source:
        attributes.append(netlink.attribute(RTA_SRC, _packed(packet.source)))
    if into is not None:
        attributes.append(netlink.attribute(RTA_IIF, netlink.number(into.number)))
    bits = 8 * len(packed)
    body = rtnetlink.ROUTE.pack(family, bits, bits if packet.source else 0, 0, 0, 0, 0, 0, 0) + b"".join(attributes)
    try:
        answer = subject.look.ask(rtnetlink.RTM_GETROUTE, body)
    except OSError as error:
        if error.errno is None or isinstance(error, TimeoutError):
            raise
        return Route(error.errno)
    return _read(subject, answer)


def _read(subject: Subject, answer: bytes) -> Route:
    kind = rtnetlink.ROUTE.unpack_from(answer)[7]
    values = dict(netlink.attributes(answer, rtnetlink.ROUTE.size))
    if kind not in (LOCAL, UNICAST):
        return Route({6: errno.EINVAL, 8: errno.EACCES}.get(kind, errno.ENETUNREACH))
    via = values.get(parsing.RTA_VIA, b"")[2:]
    index = struct.unpack("=I", values.get(rtnetlink.RTA_OIF, bytes(4)))[0]
    return Route(
        0,
        kind == LOCAL,
        subject.link(index),
        parsing.packed_address(values.get(rtnetlink.RTA_GATEWAY) or via),
        parsing.packed_address(values.get(rtnetlink.RTA_PREFSRC)),
    )
