"""Where the headers of a frame end, for files that must not have what applications have sent."""

from __future__ import annotations

VLAN = (0x8100, 0x88A8)
IPV4, ARP, IPV6 = 0x0800, 0x0806, 0x86DD
ICMP, TCP, UDP, ICMPV6 = 1, 6, 17, 58
EXTENSIONS = (0, 43, 60)  # of IPv6: hop-by-hop, routing, destination
FRAGMENT = 44
ERRORS = {ICMP: (3, 5, 11, 12), ICMPV6: (1, 2, 3, 4)}  # which have the packet that is to blame
WITHOUT_PAYLOAD = range(130, 138)  # types of ICMPv6: of MLD and of neighbour discovery
MLD2 = 143


def cut(data: bytes) -> bytes:
    """Return the headers of a frame: up to those of TCP, UDP and ICMP, with all of ARP and neighbour discovery."""
    at = 12
    while _number(data, at) in VLAN:
        at += 4
    kind = _number(data, at)
    if kind == ARP:
        return data
    return data[: _end_of_ip(data, at + 2) if kind in (IPV4, IPV6) else at + 2]


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")


def _byte(data: bytes, at: int) -> int:
    return data[at] if at < len(data) else 0


def _end_of_ip(data: bytes, at: int) -> int:
    """Return where the headers of a packet end that begins at an offset."""
    version = _byte(data, at) >> 4
    if version == 4:
        protocol, end = _byte(data, at + 9), at + 4 * (_byte(data, at) & 15)
        is_later_fragment = bool(_number(data, at + 6) & 0x1FFF)
    elif version == 6:
        protocol, end, is_later_fragment = _after_extensions(data, _byte(data, at + 6), at + 40)
    else:
        return at
    return end if is_later_fragment else _end_of_transport(data, protocol, end)


def _after_extensions(data: bytes, protocol: int, at: int) -> tuple[int, int, bool]:
    while protocol in (*EXTENSIONS, FRAGMENT) and at < len(data):
        if protocol == FRAGMENT:
            is_later, protocol, at = bool(_number(data, at + 2) & 0xFFF8), _byte(data, at), at + 8
            if is_later:
                return protocol, at, True
        else:
            protocol, at = _byte(data, at), at + 8 * (_byte(data, at + 1) + 1)
    return protocol, at, False


def _end_of_transport(data: bytes, protocol: int, at: int) -> int:
    if protocol == TCP:
        return at + max(20, 4 * (_byte(data, at + 12) >> 4))
    if protocol == UDP:
        return at + 8
    if protocol not in ERRORS:
        return at
    kind = _byte(data, at)
    if protocol == ICMPV6 and (kind in WITHOUT_PAYLOAD or kind == MLD2):
        return len(data)
    return _end_of_ip(data, at + 8) if kind in ERRORS[protocol] else at + 8
