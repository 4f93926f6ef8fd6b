"""TCP and UDP."""

from __future__ import annotations

from typing import NamedTuple

from .layer import Layer

FIN, SYN, RST, PSH, ACK, URG, ECE, CWR = (1 << bit for bit in range(8))
FLAGS = {"FIN": FIN, "SYN": SYN, "RST": RST, "PSH": PSH, "ACK": ACK, "URG": URG, "ECE": ECE, "CWR": CWR}
END, NOTHING, MSS, WINDOW_SCALE, SACK_PERMITTED, SACK, TIMESTAMPS = 0, 1, 2, 3, 4, 5, 8


class TCPOptions(NamedTuple):
    """The options of a segment; ``None`` or empty is what it does not have."""

    mss: int | None = None
    window_scale: int | None = None
    sack_permitted: bool = False
    sack: tuple[tuple[int, int], ...] = ()
    """What has arrived beyond a gap: the first byte of each block, and the one behind it."""
    timestamps: tuple[int, int] | None = None
    """The sender's clock, and what it echoes of the other side's."""


class Ported(Layer):
    """What has ports."""

    __slots__ = ()

    @property
    def source_port(self) -> int:
        return self.number(0, 2)

    @property
    def destination_port(self) -> int:
        return self.number(2, 2)

    @property
    def ports(self) -> tuple[int, int]:
        """Source and destination."""
        return self.source_port, self.destination_port


class TCP(Ported):
    """A segment of TCP."""

    __slots__ = ()
    name = "TCP"
    minimum = 20

    @classmethod
    def fits(cls, data: bytes, start: int, end: int) -> bool:
        """Whether the length of the header is possible."""
        return super().fits(data, start, end) and data[start + 12] >> 4 >= 5

    @property
    def header_length(self) -> int:
        return self.data[self.start + 12] >> 4 << 2

    @property
    def sequence(self) -> int:
        return self.number(4, 4)

    @property
    def acknowledged(self) -> int:
        """The number of the byte that is expected next."""
        return self.number(8, 4)

    @property
    def flags(self) -> int:
        return self.data[self.start + 13]

    @property
    def syn(self) -> bool:
        return bool(self.flags & SYN)

    @property
    def ack(self) -> bool:
        return bool(self.flags & ACK)

    @property
    def fin(self) -> bool:
        return bool(self.flags & FIN)

    @property
    def rst(self) -> bool:
        return bool(self.flags & RST)

    @property
    def psh(self) -> bool:
        return bool(self.flags & PSH)

    @property
    def window(self) -> int:
        """Bytes that may be sent, before they are scaled."""
        return self.number(14, 2)

    @property
    def span(self) -> int:
        """How many numbers of the sequence it takes: its bytes, and one for SYN and FIN each."""
        return self.payload_length + self.syn + self.fin

    @property
    def options(self) -> TCPOptions:
        found = {}
        for kind, value in self._options():
            if kind == MSS and len(value) == 2:
                found["mss"] = int.from_bytes(value, "big")
            elif kind == WINDOW_SCALE and len(value) == 1:
                found["window_scale"] = value[0]
            elif kind == SACK_PERMITTED:
                found["sack_permitted"] = True
            elif kind == TIMESTAMPS and len(value) == 8:
                found["timestamps"] = tuple(numbers(value))  # type: ignore[assignment]
            elif kind == SACK:
                edges = numbers(value)
                found["sack"] = tuple(zip(edges[::2], edges[1::2], strict=False))  # type: ignore[assignment]
        return TCPOptions(**found)  # type: ignore[arg-type]

    def _options(self) -> list[tuple[int, bytes]]:
        """Return kind and value of each option, up to the first that is broken."""
        rest = self.data[self.start + 20 : min(self.inner, self.end)]
        found = []
        while rest and rest[0] != END:
            if rest[0] == NOTHING:
                rest = rest[1:]
                continue
            if len(rest) < 2 or not 2 <= rest[1] <= len(rest):
                break
            found.append((rest[0], rest[2 : rest[1]]))
            rest = rest[rest[1] :]
        return found


def numbers(value: bytes) -> list[int]:
    """Return the numbers of 32 bits."""
    return [int.from_bytes(value[at : at + 4], "big") for at in range(0, len(value) - 3, 4)]


class UDP(Ported):
    """A datagram of UDP."""

    __slots__ = ()
    name = "UDP"
    minimum = 8

    @property
    def stop(self) -> int:
        length = self.number(4, 2)
        return min(self.end, self.start + length) if length >= 8 else self.end
