"""What the messages of rtnetlink(7) say of links, addresses, routes, rules, neighbours and qdiscs."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Mapping
from typing import Any

from .._linux import netlink, rtnetlink
from .records import Address, Link, Neighbour, Qdisc, Route, Rule

# <linux/if_link.h>, <linux/if_addr.h>, <linux/rtnetlink.h>, <linux/fib_rules.h>, <linux/neighbour.h>
IFLA_LINK, IFLA_CARRIER = 5, 33
DROPPED = struct.Struct("=48xQQ")  # rx_dropped and tx_dropped in struct rtnl_link_stats64
IFF_LOWER_UP = 0x10000
IFA_FLAGS, IFA_F_DADFAILED, IFA_F_TENTATIVE = 8, 0x08, 0x40
RTA_METRICS, RTA_MULTIPATH, RTA_TABLE, RTA_VIA, RTAX_MTU = 8, 9, 15, 18, 2
NEXT_HOP = struct.Struct("=HBBi")  # struct rtnexthop
RTM_F_CLONED, NTF_PROXY, AF_BRIDGE = 0x200, 0x08, 7
FRA_DST, FRA_SRC, FRA_TABLE, FRA_SUPPRESS_PREFIXLEN, FRA_PROTOCOL = 1, 2, 15, 14, 21
NDA_CACHEINFO = 3
TICKS = 100  # a second, in what the kernel tells of times (USER_HZ)
KINDS = {1: "unicast", 2: "local", 3: "broadcast", 4: "anycast", 5: "multicast", 6: "blackhole", 7: "unreachable"} | {
    8: "prohibit",
    9: "throw",
}
FAMILIES = (2, 10)  # AF_INET, AF_INET6
TABLES = {253: "default", 254: "main", 255: "local"}
PARENTS = {0xFFFFFFFF: "root", 0xFFFFFFF1: "ingress"}

Values = Mapping[int, bytes]


def number(values: Values, key: int) -> int:
    """Return an attribute that is a number, or 0 where there is none."""
    value = values.get(key)
    return int.from_bytes(value, "little") if value else 0


def text(values: Values, key: int) -> str:
    return values.get(key, b"").rstrip(b"\0").decode(errors="replace")


def packed_address(value: bytes | None) -> str:
    return str(ipaddress.ip_address(value)) if value else ""


def links(bodies: Iterable[bytes]) -> list[Link]:
    heads = [(rtnetlink.LINK.unpack_from(body), dict(netlink.attributes(body, rtnetlink.LINK.size))) for body in bodies]
    names = {head[2]: text(values, rtnetlink.IFLA_IFNAME) for head, values in heads}
    return [_link(head, values, names) for head, values in heads]


def _link(head: Any, values: Values, names: Mapping[int, str]) -> Link:
    _, _, index, flags, _ = head
    info = dict(netlink.attributes(values.get(rtnetlink.IFLA_LINKINFO, b""), 0))
    kind = text(info, rtnetlink.IFLA_INFO_KIND)
    statistics = values.get(rtnetlink.IFLA_STATS64, b"")
    return Link(
        index,
        names[index],
        kind,
        number(values, rtnetlink.IFLA_MTU),
        values.get(rtnetlink.IFLA_ADDRESS, b"").hex(":"),
        bool(flags & rtnetlink.IFF_UP),
        bool(flags & IFF_LOWER_UP),
        names.get(number(values, rtnetlink.IFLA_MASTER), ""),
        number(values, IFLA_LINK) if kind == "veth" else 0,
        sum(DROPPED.unpack_from(statistics)) if len(statistics) >= DROPPED.size else 0,
    )


def addresses(bodies: Iterable[bytes], names: Mapping[int, str]) -> list[Address]:
    return [_address(body, names) for body in bodies]


def _address(body: bytes, names: Mapping[int, str]) -> Address:
    _, prefix, _, _, index = rtnetlink.ADDRESS.unpack_from(body)
    values = dict(netlink.attributes(body, rtnetlink.ADDRESS.size))
    own = values.get(rtnetlink.IFA_LOCAL) or values.get(rtnetlink.IFA_ADDRESS)
    is_usable = not number(values, IFA_FLAGS) & (IFA_F_TENTATIVE | IFA_F_DADFAILED)
    return Address(names.get(index, str(index)), packed_address(own), prefix, is_usable)


def routes(bodies: Iterable[bytes], names: Mapping[int, str]) -> list[Route]:
    return [_route(body, names) for body in bodies]


def _route(body: bytes, names: Mapping[int, str]) -> Route:
    family, prefix, _, _, table, _, _, kind, flags = rtnetlink.ROUTE.unpack_from(body)
    values = dict(netlink.attributes(body, rtnetlink.ROUTE.size))
    where = packed_address(values.get(rtnetlink.RTA_DST)) or ("0.0.0.0" if family == 2 else "::")
    table = number(values, RTA_TABLE) or table
    gateway, link = _next_hop(values)
    return Route(
        f"{where}/{prefix}" if prefix else "default",
        KINDS.get(kind, str(kind)),
        gateway,
        names.get(link, str(link) if link else ""),
        packed_address(values.get(rtnetlink.RTA_PREFSRC)),
        number(values, rtnetlink.RTA_PRIORITY),
        TABLES.get(table, str(table)),
        number(dict(netlink.attributes(values.get(RTA_METRICS, b""), 0)), RTAX_MTU),
        bool(flags & RTM_F_CLONED),
    )


def _next_hop(values: Values) -> tuple[str, int]:
    """Return the router and the index of the link of a route, of several the first."""
    if RTA_MULTIPATH in values:
        body = values[RTA_MULTIPATH]
        length, _, _, index = NEXT_HOP.unpack_from(body)
        inner = dict(netlink.attributes(body[:length], NEXT_HOP.size))
        return packed_address(inner.get(rtnetlink.RTA_GATEWAY)), index
    via = values.get(RTA_VIA, b"")[2:]  # behind the address family
    return packed_address(values.get(rtnetlink.RTA_GATEWAY) or via), number(values, rtnetlink.RTA_OIF)


def rules(bodies: Iterable[bytes]) -> list[Rule]:
    return [_rule(body) for body in bodies if body[0] in FAMILIES]  # others are of multicast routing


def _rule(body: bytes) -> Rule:
    family, to_prefix, from_prefix, _, table, _, _ = rtnetlink.RULE.unpack_from(body)
    values = dict(netlink.attributes(body, rtnetlink.RULE.size))
    table = number(values, FRA_TABLE) or table
    known = (FRA_DST, FRA_SRC, FRA_TABLE, FRA_SUPPRESS_PREFIXLEN, FRA_PROTOCOL, rtnetlink.FRA_PRIORITY)
    return Rule(
        6 if family == 10 else 4,
        number(values, rtnetlink.FRA_PRIORITY),
        f"{packed_address(values[FRA_SRC])}/{from_prefix}" if FRA_SRC in values else "all",
        f"{packed_address(values[FRA_DST])}/{to_prefix}" if FRA_DST in values else "",
        TABLES.get(table, str(table)),
        " ".join(f"{key}:{value.hex()}" for key, value in sorted(values.items()) if key not in known),
    )


def neighbours(bodies: Iterable[bytes], names: Mapping[int, str]) -> list[Neighbour]:
    """Return what is known of neighbours, without what the kernel has by itself, as for multicast."""
    found = [_neighbour(body, names) for body in bodies if _is_asked_for(body)]
    return [one for one in found if one.address]


def _is_asked_for(body: bytes) -> bool:
    family, _, state, flags, _ = rtnetlink.NEIGHBOUR.unpack_from(body)
    return bool(state and not state & rtnetlink.NUD_NOARP and not flags & NTF_PROXY and family != AF_BRIDGE)


def _neighbour(body: bytes, names: Mapping[int, str]) -> Neighbour:
    _, index, state, _, _ = rtnetlink.NEIGHBOUR.unpack_from(body)
    values = dict(netlink.attributes(body, rtnetlink.NEIGHBOUR.size))
    info = values.get(NDA_CACHEINFO, b"")  # confirmed, used, updated, references
    age = struct.unpack_from("=8xI", info)[0] / TICKS if len(info) >= 12 else 0.0
    return Neighbour(
        packed_address(values.get(rtnetlink.NDA_DST)),
        names.get(index, str(index)),
        values.get(rtnetlink.NDA_LLADDR, b"").hex(":"),
        rtnetlink.NUD.get(state, str(state)),
        age,
    )


def qdiscs(bodies: Iterable[bytes], names: Mapping[int, str]) -> list[Qdisc]:
    """Return the qdiscs, without those that a device has by itself."""
    return [one for one in (_qdisc(body, names) for body in bodies) if one.kind != "noqueue"]


def _qdisc(body: bytes, names: Mapping[int, str]) -> Qdisc:
    _, index, handle, parent, _ = rtnetlink.QDISC.unpack_from(body)
    values = dict(netlink.attributes(body, rtnetlink.QDISC.size))
    return Qdisc(
        names.get(index, str(index)),
        text(values, rtnetlink.TCA_KIND),
        _handle(handle),
        PARENTS.get(parent, f"parent {_handle(parent)}"),
        values.get(rtnetlink.TCA_OPTIONS, b""),
    )


def _handle(value: int) -> str:
    return f"{value >> 16:x}:{value & 0xFFFF:x}".removesuffix(":0") + ("" if value & 0xFFFF else ":")
