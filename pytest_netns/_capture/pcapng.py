"""The file format pcapng: the blocks that a capture is made of.

It is described in draft-ietf-opsawg-pcapng. Each function returns a block as bytes.
"""

from __future__ import annotations

import _socket as socket
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    Option = tuple[int, bytes]

SECTION, INTERFACE, NAMES, PACKET, SECRETS = 0x0A0D0D0A, 1, 4, 6, 10
ORDER = 0x1A2B3C4D
UNKNOWN_LENGTH = 0xFFFFFFFFFFFFFFFF
ETHERNET = 1  # LINKTYPE_ETHERNET
TLS_KEYS = 0x544C534B  # the lines of SSLKEYLOGFILE
NANOSECONDS = b"\x09"  # as a power of ten
COMMENT, APPLICATION = 1, 4  # options of all blocks, and of a section
NAME, MAC, RESOLUTION = 2, 6, 9  # of an interface
FLAGS = 2  # of a packet
INBOUND, OUTBOUND = 1, 2
IPV4_NAME, IPV6_NAME, END_OF_NAMES = 1, 2, 0
LONGEST_TEXT = 60_000  # bytes: the length of an option has 16 bits


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _options(options: Iterable[Option]) -> bytes:
    found = b"".join(struct.pack("=HH", code, len(value)) + _padded(value) for code, value in options)
    return found + bytes(4) if found else b""


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("=I", len(body) + 12)
    return struct.pack("=I", kind) + length + body + length


def _text(text: str) -> bytes:
    return text.encode("utf-8", "replace")[:LONGEST_TEXT]


def section(comments: Iterable[str]) -> bytes:
    """Begin a file; the comments are shown with the properties of the file."""
    options = [*((COMMENT, _text(text)) for text in comments), (APPLICATION, b"pytest-netns")]
    return _block(SECTION, struct.pack("=IHHQ", ORDER, 1, 0, UNKNOWN_LENGTH) + _options(options))


def interface(name: str, longest: int, mac: bytes = b"", comments: Iterable[str] = ()) -> bytes:
    """Describe the next interface; packets name it by its number, from 0 on.

    :param longest: bytes of a packet that are recorded, or 0 for all.
    """
    options = [*((COMMENT, _text(text)) for text in comments), (NAME, _text(name))]
    options += [(MAC, mac)] if len(mac) == 6 else []
    return _block(
        INTERFACE, struct.pack("=HHI", ETHERNET, 0, longest) + _options([*options, (RESOLUTION, NANOSECONDS)])
    )


def names(hosts: Iterable[tuple[str, str]]) -> bytes:
    """Say what addresses are called; each host is an address as text, and a name."""
    records = b""
    for address, name in hosts:
        is_ipv6 = ":" in address
        packed = socket.inet_pton(socket.AF_INET6 if is_ipv6 else socket.AF_INET, address)
        value = packed + name.encode("utf-8", "replace") + b"\0"
        records += struct.pack("=HH", IPV6_NAME if is_ipv6 else IPV4_NAME, len(value)) + _padded(value)
    return _block(NAMES, records + struct.pack("=HH", END_OF_NAMES, 0))


def secrets(lines: bytes) -> bytes:
    """Give the keys of TLS sessions; it has to come before their packets."""
    return _block(SECRETS, struct.pack("=II", TLS_KEYS, len(lines)) + _padded(lines))


def packet(number: int, time: int, is_outgoing: bool, data: bytes, length: int, comment: str = "") -> bytes:
    """Return a packet.

    :param number: of its interface.
    :param time: in nanoseconds since the epoch.
    :param length: in bytes, as it was sent.
    """
    begin = struct.pack("=IIIII", number, time >> 32, time & 0xFFFFFFFF, len(data), length)
    flags = struct.pack("=I", OUTBOUND if is_outgoing else INBOUND)
    options = [(COMMENT, _text(comment))] if comment else []
    return _block(PACKET, begin + _padded(data) + _options([*options, (FLAGS, flags)]))
