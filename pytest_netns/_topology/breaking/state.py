"""What a namespace has, as the kernel tells it: kept when a network is ready, and compared with what there is later."""

from __future__ import annotations

import dataclasses
import ipaddress
import socket
import struct
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeAlias

from ..._linux import netlink, rtnetlink
from ..making.channel import Channel
from ..making.requests import Request

Key: TypeAlias = "tuple[object, ...]"

# <linux/rtnetlink.h>, <linux/if_addr.h>, <linux/if_link.h>, <linux/pkt_sched.h>
IFA_CACHEINFO, IFA_FLAGS = 6, 8
IFA_F_PASSING = 0x04 | 0x08 | 0x40  # optimistic, DAD has failed, tentative
RTA_CACHEINFO, RTM_F_CLONED = 12, 0x200
BY_WAY = (rtnetlink.RTA_GATEWAY, 9, 18)  # RTA_MULTIPATH, RTA_VIA
TC_ROOTS = (0xFFFFFFFF, 0xFFFFFFF1)  # TC_H_ROOT, and TC_H_INGRESS, which clsact shares
RTN_ANYCAST = 4
NLM_F_APPEND = 0x800  # with it, a second route to a network by another link is none that is there already
IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS = 29, 8
COUNTERS = (7, 23)  # IFLA_STATS, IFLA_STATS64
WITHOUT_OTHER_COUNTERS = bytes(rtnetlink.LINK.size) + netlink.attribute(
    IFLA_EXT_MASK, netlink.number(RTEXT_FILTER_SKIP_STATS)
)


class Kind(NamedTuple):
    """Something of which a namespace has several, each of which can be made from what the kernel tells of it."""

    get: int
    new: int
    delete: int
    asked: bytes
    key: Callable[[bytes], Key]
    """What tells one from another, without what changes by itself."""
    name: Callable[[bytes], str]
    """What errors call it."""


@dataclasses.dataclass(frozen=True)
class State:
    """What a namespace has, each thing as the body of the message that told of it."""

    links: list[bytes]
    others: tuple[list[bytes], ...]
    """One list for each of ``KINDS``."""


def look(channel: Channel, deadline: float) -> State:
    """Return what a namespace has.

    :raises NetNSError: the kernel does not tell.
    """
    links = look_at_links(channel, deadline)
    return State(links, tuple(channel.dump(kind.get, deadline, kind.asked) for kind in KINDS))


def look_at_links(channel: Channel, deadline: float) -> list[bytes]:
    """Return the links, without what they have counted: who compares bytes need not look into most of them."""
    return [_without_counters(body) for body in channel.dump(rtnetlink.RTM_GETLINK, deadline, WITHOUT_OTHER_COUNTERS)]


def _without_counters(body: bytes) -> bytes:
    offset, found = rtnetlink.LINK.size, 0
    while found < len(COUNTERS) and offset < len(body):
        length, kind = netlink.ATTRIBUTE.unpack_from(body, offset)
        after = offset + length + -length % 4
        if kind in COUNTERS:
            body, found = body[:offset] + body[after:], found + 1
        else:
            offset = after
    return body


def differences(kind: Kind, kept: list[bytes], now: list[bytes]) -> list[Request]:
    """Return what makes it as it was: the end of what has come, and what has gone.

    :param kept: what there was.
    :param now: what there is.
    """
    if kept == now:
        return []
    before, after = {kind.key(body): body for body in kept}, {kind.key(body): body for body in now}
    gone = [Request(kind.delete, body, f"{kind.name(body)} go", 0) for key, body in after.items() if key not in before]
    how = netlink.NLM_F_CREATE | (NLM_F_APPEND if kind is ROUTES else netlink.NLM_F_EXCL)
    lost = [
        Request(kind.new, _again(kind, body), kind.name(body), how) for key, body in before.items() if key not in after
    ]
    if kind is QDISCS:  # a device gets its own again as soon as the one in its place has gone
        gone = [one for one in gone if rtnetlink.QDISC.unpack_from(one.body)[3] in TC_ROOTS]
        lost = [one for one in lost if b"noqueue" not in one.body]
    if kind is ROUTES:
        ways = {_way(one.body) for one in gone if _is_learned(one.body)}
        parents = [body for body in after.values() if _way(body) in ways and not _is_learned(body)]
        gone = [one for one in gone if not _is_learned(one.body)]
        gone += [Request(kind.delete, _again(kind, body), f"{kind.name(body)} go", 0) for body in parents]
        lost += [
            Request(kind.new, _again(kind, body), kind.name(body), how) for body in parents if kind.key(body) in before
        ]
        lost.sort(key=lambda one: _takes_others(one.body))
    return gone + lost


def _is_learned(route: bytes) -> bool:
    """Whether it is what IPv4 has learned of a path, such as its MTU.

    That is held beside a route and goes with it: what has the same way is to be made anew (net/ipv4/fib_semantics.c).
    """
    family, *_, flags = rtnetlink.ROUTE.unpack_from(route)
    return bool(family == socket.AF_INET and flags & RTM_F_CLONED)


def _way(route: bytes) -> Key:
    """Return by which router and link a route of IPv4 leads."""
    family, *_, kind, _ = rtnetlink.ROUTE.unpack_from(route)
    values = dict(netlink.attributes(route, rtnetlink.ROUTE.size))
    return family, kind, values.get(rtnetlink.RTA_GATEWAY), values.get(rtnetlink.RTA_OIF)


def _takes_others(route: bytes) -> tuple[int, int]:
    """Return where among routes one comes: by way of a router takes that of a link, which takes that of an address."""
    _, prefix, *_, kind, _ = rtnetlink.ROUTE.unpack_from(route)
    if any(number in BY_WAY for number, _ in netlink.attributes(route, rtnetlink.ROUTE.size)):
        return 2, -prefix
    return int(kind != rtnetlink.RTN_LOCAL), -prefix


def by_addresses(wrong: Iterable[Request], kept: Iterable[bytes]) -> list[Request]:
    """Return requests for routes with addresses of IPv6 made anew instead of the routes that the kernel has with them.

    A route that is asked for has another metric (net/ipv6/route.c, IP6_RT_PRIO_USER).

    :param kept: the addresses that there were.
    """
    lost = [one for one in wrong if one.kind == rtnetlink.RTM_NEWROUTE and _own(one)]
    links = {rtnetlink.index_of_route(one.body) for one in lost}
    return [one for one in wrong if one not in lost] + [
        Request(kind, body, _name_of_address(body), flags)
        for body in kept
        if rtnetlink.ADDRESS.unpack_from(body)[0] == socket.AF_INET6 and rtnetlink.index_of_address(body) in links
        for kind, flags in ((rtnetlink.RTM_DELADDR, 0), (rtnetlink.RTM_NEWADDR, netlink.NLM_F_CREATE))
    ]


def _own(one: Request) -> bool:
    """Whether a route is one to an address of IPv6 of the namespace itself."""
    family, *_, kind, _ = rtnetlink.ROUTE.unpack_from(one.body)
    return family == socket.AF_INET6 and kind in (rtnetlink.RTN_LOCAL, RTN_ANYCAST)


def added(asked: Iterable[Request]) -> dict[tuple[int, bytes], object]:
    """Return the addresses of IPv6 that requests add, by their links and packed, with their names."""
    return {
        (
            rtnetlink.index_of_address(one.body),
            dict(netlink.attributes(one.body, rtnetlink.ADDRESS.size))[rtnetlink.IFA_ADDRESS],
        ): one.what
        for one in asked
        if one.kind == rtnetlink.RTM_NEWADDR and rtnetlink.ADDRESS.unpack_from(one.body)[0] == socket.AF_INET6
    }


def _again(kind: Kind, body: bytes) -> bytes:
    """Return a body without the flags that tell of the state of what is there, which a route is refused for."""
    if kind is not ROUTES:
        return body
    head = (*rtnetlink.ROUTE.unpack_from(body)[:-1], 0)
    return rtnetlink.ROUTE.pack(*head) + body[rtnetlink.ROUTE.size :]


def _values(body: bytes, size: int, left_out: Iterable[int] = ()) -> Key:
    return tuple(sorted(one for one in netlink.attributes(body, size) if one[0] not in left_out))


def _key_of_address(body: bytes) -> Key:
    family, prefix, _, scope, index = rtnetlink.ADDRESS.unpack_from(body)
    flags = dict(netlink.attributes(body, rtnetlink.ADDRESS.size)).get(IFA_FLAGS, bytes(4))
    lasting = struct.unpack("=I", flags)[0] & ~IFA_F_PASSING
    return family, prefix, scope, index, lasting, _values(body, rtnetlink.ADDRESS.size, (IFA_CACHEINFO, IFA_FLAGS))


def _key_of_route(body: bytes) -> Key:
    *head, flags = rtnetlink.ROUTE.unpack_from(body)
    return *head, flags & RTM_F_CLONED, _values(body, rtnetlink.ROUTE.size, (RTA_CACHEINFO,))


def _key_of_rule(body: bytes) -> Key:
    return *rtnetlink.RULE.unpack_from(body), _values(body, rtnetlink.RULE.size)


def _key_of_qdisc(body: bytes) -> Key:
    values = [
        one
        for one in netlink.attributes(body, rtnetlink.QDISC.size)
        if one[0] in (rtnetlink.TCA_KIND, rtnetlink.TCA_OPTIONS)
    ]
    return *rtnetlink.QDISC.unpack_from(body)[:4], tuple(values)


def _name_of_address(body: bytes) -> str:
    values = dict(netlink.attributes(body, rtnetlink.ADDRESS.size))
    packed = values.get(rtnetlink.IFA_LOCAL) or values[rtnetlink.IFA_ADDRESS]
    return f"the address {ipaddress.ip_address(packed)}"


def _name_of_route(body: bytes) -> str:
    packed = dict(netlink.attributes(body, rtnetlink.ROUTE.size)).get(rtnetlink.RTA_DST)
    to = "anywhere" if packed is None else f"{ipaddress.ip_address(packed)}/{rtnetlink.ROUTE.unpack_from(body)[1]}"
    return f"the route to {to}"


def _name_of_rule(body: bytes) -> str:
    priority = dict(netlink.attributes(body, rtnetlink.RULE.size)).get(rtnetlink.FRA_PRIORITY, bytes(4))
    return f"the rule of priority {struct.unpack('=I', priority)[0]}"


def _name_of_qdisc(body: bytes) -> str:
    kind = dict(netlink.attributes(body, rtnetlink.QDISC.size)).get(rtnetlink.TCA_KIND, b"?")
    return f"the qdisc {kind.decode().rstrip(chr(0))}"


_ANY = bytes(rtnetlink.LINK.size)
ADDRESSES = Kind(
    rtnetlink.RTM_GETADDR, rtnetlink.RTM_NEWADDR, rtnetlink.RTM_DELADDR, _ANY, _key_of_address, _name_of_address
)
RULES = Kind(rtnetlink.RTM_GETRULE, rtnetlink.RTM_NEWRULE, rtnetlink.RTM_DELRULE, _ANY, _key_of_rule, _name_of_rule)
ROUTES = Kind(
    rtnetlink.RTM_GETROUTE, rtnetlink.RTM_NEWROUTE, rtnetlink.RTM_DELROUTE, _ANY, _key_of_route, _name_of_route
)
QDISCS = Kind(
    rtnetlink.RTM_GETQDISC,
    rtnetlink.RTM_NEWQDISC,
    rtnetlink.RTM_DELQDISC,
    bytes(rtnetlink.QDISC.size),
    _key_of_qdisc,
    _name_of_qdisc,
)
KINDS = (ADDRESSES, RULES, ROUTES, QDISCS)
"""In the order in which they are mended: routes take addresses."""
