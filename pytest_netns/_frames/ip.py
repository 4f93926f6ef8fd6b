"""IPv4 and IPv6, with options, extension headers and fragments."""

from __future__ import annotations

import socket

from .layer import Layer

NO_NEXT_HEADER = 59


class IP(Layer):
    """What IPv4 and IPv6 have in common."""

    __slots__ = ()
    version: int

    @property
    def source(self) -> str:
        raise NotImplementedError

    @property
    def destination(self) -> str:
        raise NotImplementedError

    @property
    def ttl(self) -> int:
        """The time to live, or the hop limit."""
        raise NotImplementedError

    @property
    def protocol(self) -> int:
        """What follows, of IPv6 an extension header perhaps."""
        raise NotImplementedError


class IPv4(IP):
    """The header of IPv4."""

    __slots__ = ()
    name = "IPv4"
    version = 4
    minimum = 20

    @classmethod
    def fits(cls, data: bytes, start: int, end: int) -> bool:
        """Whether version and length are possible."""
        return super().fits(data, start, end) and data[start] >> 4 == 4 and data[start] & 15 >= 5

    @property
    def header_length(self) -> int:
        return (self.data[self.start] & 15) * 4

    @property
    def stop(self) -> int:
        # Segments larger than 64 KiB, which Linux sends between namespaces, have no length (BIG TCP, since 6.3).
        total = self.number(2, 2)
        return min(self.end, self.start + total) if total else self.end

    @property
    def tos(self) -> int:
        return self.data[self.start + 1]

    @property
    def total_length(self) -> int:
        return self.number(2, 2)

    @property
    def identification(self) -> int:
        return self.number(4, 2)

    @property
    def dont_fragment(self) -> bool:
        return bool(self.data[self.start + 6] & 0x40)

    @property
    def more_fragments(self) -> bool:
        return bool(self.data[self.start + 6] & 0x20)

    @property
    def offset(self) -> int:
        """Where in the datagram this fragment begins, in bytes."""
        return (self.number(6, 2) & 0x1FFF) * 8

    @property
    def is_fragment(self) -> bool:
        return self.number(6, 2) & 0x3FFF != 0

    @property
    def ttl(self) -> int:
        return self.data[self.start + 8]

    @property
    def protocol(self) -> int:
        return self.data[self.start + 9]

    @property
    def source(self) -> str:
        return socket.inet_ntoa(self.part(12, 4))

    @property
    def destination(self) -> str:
        return socket.inet_ntoa(self.part(16, 4))

    @property
    def options(self) -> bytes:
        return self.data[self.start + 20 : self.inner]


class IPv6(IP):
    """The header of IPv6, without extension headers."""

    __slots__ = ()
    name = "IPv6"
    version = 6
    minimum = 40

    @classmethod
    def fits(cls, data: bytes, start: int, end: int) -> bool:
        """Whether the version is possible."""
        return super().fits(data, start, end) and data[start] >> 4 == 6

    @property
    def stop(self) -> int:
        # Jumbograms (RFC 2675) have no length here, nor have segments larger than 64 KiB, as of IPv4.
        length = self.number(4, 2)
        return min(self.end, self.start + 40 + length) if length else self.end

    @property
    def traffic_class(self) -> int:
        return self.number(0, 2) >> 4 & 0xFF

    @property
    def flow_label(self) -> int:
        return self.number(0, 4) & 0xFFFFF

    @property
    def protocol(self) -> int:
        return self.data[self.start + 6]

    @property
    def ttl(self) -> int:
        return self.data[self.start + 7]

    @property
    def source(self) -> str:
        return socket.inet_ntop(socket.AF_INET6, self.part(8, 16))

    @property
    def destination(self) -> str:
        return socket.inet_ntop(socket.AF_INET6, self.part(24, 16))


class Extension(Layer):
    """An extension header of IPv6: hop-by-hop or destination options, routing, authentication."""

    __slots__ = ()
    name = "IPv6 extension"
    minimum = 8

    @property
    def protocol(self) -> int:
        return self.data[self.start]

    @property
    def header_length(self) -> int:
        return 8 + self.data[self.start + 1] * 8


class Authentication(Extension):
    """The authentication header, whose length is counted in another unit (RFC 4302)."""

    __slots__ = ()
    name = "AH"

    @property
    def header_length(self) -> int:
        return max(8, 8 + self.data[self.start + 1] * 4)


class Fragment(Extension):
    """The fragment header of IPv6."""

    __slots__ = ()
    name = "IPv6 fragment"

    @property
    def header_length(self) -> int:
        return 8

    @property
    def offset(self) -> int:
        """Where in the datagram this fragment begins, in bytes."""
        return self.number(2, 2) & 0xFFF8

    @property
    def more_fragments(self) -> bool:
        return bool(self.data[self.start + 3] & 1)

    @property
    def identification(self) -> int:
        return self.number(4, 4)
