"""Messages of netlink(7), as bytes.

The resident child imports this module too, so it stays with what the standard library gives cheaply.
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# <linux/netlink.h>
NLM_F_REQUEST, NLM_F_ACK, NLM_F_EXCL, NLM_F_CREATE, NLM_F_DUMP = 0x1, 0x4, 0x200, 0x400, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_ACK_TLVS = 0x200
NLM_F_DUMP_INTR = 0x10
NLMSGERR_ATTR_MSG = 1
NLA_F_NESTED = 0x8000
NETLINK_SOCK_DIAG, NETLINK_NETFILTER = 4, 12

HEADER = struct.Struct("=IHHII")
ATTRIBUTE = struct.Struct("=HH")


def message(number: int, kind: int, body: bytes, flags: int = NLM_F_ACK) -> bytes:
    """Return a message.

    :param number: comes back with what is answered.
    """
    return HEADER.pack(HEADER.size + len(body), kind, flags | NLM_F_REQUEST, number, 0) + body


def attribute(kind: int, *values: bytes) -> bytes:
    """Return an attribute of a message, padded."""
    value = b"".join(values)
    return ATTRIBUTE.pack(4 + len(value), kind) + value + bytes(-len(value) % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    """Return an attribute that consists of others."""
    return attribute(kind | NLA_F_NESTED, *attributes)


def number(value: int) -> bytes:
    return struct.pack("=I", value)


def text(value: str) -> bytes:
    return value.encode() + b"\0"


def messages(received: bytes) -> Iterator[tuple[int, int, int, bytes]]:
    """Yield the kind, the flags, the number and the body of each message that came."""
    offset = 0
    while offset < len(received):
        length, kind, flags, sequence, _ = HEADER.unpack_from(received, offset)
        yield kind, flags, sequence, received[offset + HEADER.size : offset + length]
        offset += length + -length % 4


def attributes(body: bytes, offset: int) -> Iterator[tuple[int, bytes]]:
    """Yield the attributes behind the head of a message."""
    while offset + 4 <= len(body):
        length, kind = ATTRIBUTE.unpack_from(body, offset)
        yield kind & ~NLA_F_NESTED, body[offset + 4 : offset + length]
        offset += max(length, 4) + -length % 4


def error_of(body: bytes) -> int:
    """Return the errno that a message of the kind ``NLMSG_ERROR`` has, or 0."""
    return -int(struct.unpack_from("=i", body)[0])
