"""What is between neighbours: Ethernet, VLAN tags and ARP."""

from __future__ import annotations

import socket

from .layer import Layer

IPV4, IPV6, ARP_TYPE = 0x0800, 0x86DD, 0x0806
BROADCAST = b"\xff" * 6


def mac(address: bytes) -> str:
    """Return an Ethernet address as people write it."""
    return address.hex(":")


class Ethernet(Layer):
    """The header of an Ethernet frame."""

    __slots__ = ()
    name = "Ethernet"
    minimum = 14

    @property
    def destination(self) -> str:
        return mac(self.part(0, 6))

    @property
    def source(self) -> str:
        return mac(self.part(6, 6))

    @property
    def ethertype(self) -> int:
        """What it carries, or its length if it is less than 1536."""
        return self.number(12, 2)

    @property
    def is_multicast(self) -> bool:
        """Whether it is for several: for a group, or for all."""
        return bool(self.data[self.start] & 1)


class VLAN(Layer):
    """A tag of IEEE 802.1Q, or of 802.1ad around another one."""

    __slots__ = ()
    name = "VLAN"
    minimum = 4

    @property
    def vid(self) -> int:
        return self.number(0, 2) & 0xFFF

    @property
    def priority(self) -> int:
        return self.data[self.start] >> 5

    @property
    def ethertype(self) -> int:
        return self.number(2, 2)


class ARP(Layer):
    """The address resolution protocol, for IPv4 over Ethernet."""

    __slots__ = ()
    name = "ARP"
    minimum = 28
    REQUEST, REPLY = 1, 2

    @classmethod
    def fits(cls, data: bytes, start: int, end: int) -> bool:
        """Whether it is about IPv4 over Ethernet."""
        return super().fits(data, start, end) and data[start : start + 6] == b"\x00\x01\x08\x00\x06\x04"

    @property
    def operation(self) -> int:
        return self.number(6, 2)

    @property
    def sender_mac(self) -> str:
        return mac(self.part(8, 6))

    @property
    def sender(self) -> str:
        return socket.inet_ntoa(self.part(14, 4))

    @property
    def target_mac(self) -> str:
        return mac(self.part(18, 6))

    @property
    def target(self) -> str:
        return socket.inet_ntoa(self.part(24, 4))
