"""What carries frames and packets of others: VXLAN and GRE."""

from __future__ import annotations

from .layer import Layer


class VXLAN(Layer):
    """The header of VXLAN, which an Ethernet frame follows (RFC 7348)."""

    __slots__ = ()
    name = "VXLAN"
    minimum = 8

    @classmethod
    def fits(cls, data: bytes, start: int, end: int) -> bool:
        """Whether it has a network identifier."""
        return super().fits(data, start, end) and bool(data[start] & 0x08)

    @property
    def vni(self) -> int:
        return self.number(4, 3)


class GRE(Layer):
    """The header of GRE (RFC 2784, RFC 2890)."""

    __slots__ = ()
    name = "GRE"
    minimum = 4
    CHECKSUM, KEY, SEQUENCE = 0x80, 0x20, 0x10

    @property
    def flags(self) -> int:
        return self.data[self.start]

    @property
    def header_length(self) -> int:
        return 4 + 4 * sum(bool(self.flags & flag) for flag in (self.CHECKSUM, self.KEY, self.SEQUENCE))

    @property
    def ethertype(self) -> int:
        return self.number(2, 2)

    @property
    def key(self) -> int | None:
        if not self.flags & self.KEY:
            return None
        return self.number(8 if self.flags & self.CHECKSUM else 4, 4)
