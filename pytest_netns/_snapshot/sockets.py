"""What sock_diag(7) says of the sockets of a namespace."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Iterable, Mapping

from .._linux import netlink, sock_diag
from .parsing import packed_address
from .records import Socket

STATES = (
    *("", "ESTAB", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "UNCONN", "CLOSE-WAIT"),
    *("LAST-ACK", "LISTEN", "CLOSING", "SYN-RECV"),
)
"""By their numbers, <net/tcp_states.h>, as ss(8) calls them."""
ENDED_BY_PEER = ("CLOSE-WAIT", "LAST-ACK", "CLOSING")
ENDED, BEGUN = ("FIN-WAIT-1", "LAST-ACK", "CLOSING"), ("SYN-SENT", "SYN-RECV")
"""States in which the kernel counts a FIN or a SYN as a byte that was not read, or not acknowledged (tcp_diag.c)."""
KINDS = (("tcp", socket.IPPROTO_TCP), ("udp", socket.IPPROTO_UDP))
INET_DIAG_INFO, INET_DIAG_SKMEMINFO = 2, 7  # <linux/inet_diag.h>
WANTED = 1 << INET_DIAG_INFO - 1 | 1 << INET_DIAG_SKMEMINFO - 1
RETRANSMITS, BYTES, SENT = struct.Struct("=2xB"), struct.Struct("=120xQQ"), struct.Struct("=200xQ")  # struct tcp_info
DROPS = struct.Struct("=32xI")  # SK_MEMINFO_DROPS, <linux/sock_diag.h>


def requests() -> list[tuple[str, bytes]]:
    """Return the bodies of what asks for all sockets of each kind, and the kind."""
    return [
        (kind, sock_diag.REQUEST.pack(family, protocol, WANTED, 0xFFFFFFFF))
        for kind, protocol in KINDS
        for family in sock_diag.FAMILIES
    ]


def parse(kind: str, bodies: Iterable[bytes], holders: Mapping[int, tuple[str, ...]]) -> list[Socket]:
    """Return the sockets of a kind.

    :param holders: who has each socket open, by inode.
    """
    return [_socket(kind, body, holders) for body in bodies]


def _socket(kind: str, body: bytes, holders: Mapping[int, tuple[str, ...]]) -> Socket:
    family, state, _, _, port, peer_port, source, target, *_, received, unsent, _, inode = sock_diag.ANSWER.unpack_from(
        body
    )
    values = dict(netlink.attributes(body, sock_diag.ANSWER.size))
    size = 16 if family == socket.AF_INET6 else 4
    info, memory = values.get(INET_DIAG_INFO, b""), values.get(INET_DIAG_SKMEMINFO, b"")
    name = STATES[state] if state < len(STATES) else str(state)
    return Socket(
        kind,
        name,
        _plain(packed_address(source[:size])),
        int.from_bytes(port, "big"),
        _plain(packed_address(target[:size])),
        int.from_bytes(peer_port, "big"),
        max(received - (name in ENDED_BY_PEER), 0),
        max(unsent - (name in ENDED or name in BEGUN), 0),
        holders.get(inode, ()),
        inode,
        family == socket.AF_INET6 and not any(values.get(sock_diag.INET_DIAG_SKV6ONLY, b"\0")),
        _first(RETRANSMITS, info),
        _first(BYTES, info, 1),
        _first(SENT, info),
        _first(DROPS, memory),
    )


def _plain(address: str) -> str:
    """Return an address of IPv4 that stands within one of IPv6 as itself (RFC 4291, 2.5.5.2)."""
    mapped = ipaddress.IPv6Address(address).ipv4_mapped if address.startswith("::ffff:") else None
    return address if mapped is None else str(mapped)


def _first(layout: struct.Struct, content: bytes, index: int = 0) -> int:
    """Return a number out of a struct, or 0 from an older kernel, which tells less."""
    return int(layout.unpack_from(content)[index]) if len(content) >= layout.size else 0
