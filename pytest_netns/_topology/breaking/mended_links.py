"""Links that are to be as they were: what of them a test may have changed, and what undoes it."""

from __future__ import annotations

import dataclasses
import errno
import socket
import struct
from collections.abc import Iterable, Iterator

from ..._errors import NetNSOSError, is_meant
from ..._linux import netlink, rtnetlink
from ..making import requests
from ..making.requests import Request

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

# <linux/if_link.h>, <linux/if.h>
IFLA_BROADCAST, IFLA_LINK, IFLA_TXQLEN, IFLA_IFALIAS, IFLA_GROUP, IFLA_PROTO_DOWN = 2, 5, 13, 20, 27, 39
IFLA_INET_CONF, IFLA_INET6_CONF = 1, 2
ADDR_GEN_MODE = 47  # its number among the settings of IPv6
IFF_NOARP, IFF_PROMISC, IFF_ALLMULTI = 0x80, 0x100, 0x200
FLAGS = rtnetlink.IFF_UP | IFF_NOARP | IFF_PROMISC | IFF_ALLMULTI | rtnetlink.IFF_MULTICAST
SETTABLE = frozenset(
    {
        rtnetlink.IFLA_ADDRESS,
        IFLA_BROADCAST,
        rtnetlink.IFLA_IFNAME,
        rtnetlink.IFLA_MTU,
        rtnetlink.IFLA_MASTER,
        IFLA_TXQLEN,
        IFLA_IFALIAS,
        IFLA_GROUP,
        IFLA_PROTO_DOWN,
    }
)
FIXED = {IFLA_LINK: "its other end", rtnetlink.IFLA_LINKINFO: "its kind"}
# Those that the kernel makes in every namespace as the module for a tunnel is loaded (net/ipv4/ip_tunnel.c,
# fb_tunnels_only_for_init_net); they cannot be deleted.
FALLBACKS = frozenset(
    "tunl0 gre0 gretap0 erspan0 ip_vti0 sit0 ip6tnl0 ip6gre0 ip6gretap0 ip6erspan0 ip6_vti0".split()  # noqa: SIM905
)
# Below net.ipv6.conf.NAME, by their numbers (<linux/ipv6.h>, DEVCONF_FORWARDING and so on). Left out are those in which
# the kernel counts in ticks, and what follows from something else.
IPV6_SETTINGS = {
    0: "forwarding",
    1: "hop_limit",
    3: "accept_ra",
    4: "accept_redirects",
    5: "autoconf",
    6: "dad_transmits",
    7: "router_solicitations",
    10: "use_tempaddr",
    11: "temp_valid_lft",
    12: "temp_prefered_lft",
    13: "regen_max_retry",
    14: "max_desync_factor",
    15: "max_addresses",
    16: "force_mld_version",
    17: "accept_ra_defrtr",
    18: "accept_ra_pinfo",
    22: "proxy_ndp",
    24: "accept_source_route",
    26: "disable_ipv6",
    27: "accept_dad",
}


@dataclasses.dataclass(frozen=True)
class Link:
    """What of a link a test may change."""

    index: int
    flags: int
    values: dict[int, bytes]
    """The attributes that tell of it, by their numbers in ``<linux/if_link.h>``."""
    ipv4: bytes = b""
    """Its settings below net.ipv4.conf, as an array."""
    ipv6: bytes = b""
    """Its settings below net.ipv6.conf, likewise."""

    @property
    def name(self) -> str:
        return self.values.get(rtnetlink.IFLA_IFNAME, b"?").rstrip(b"\0").decode()


def read(bodies: Iterable[bytes]) -> dict[int, Link]:
    """Return links by their indices."""
    links = (_read(body) for body in bodies)
    return {link.index: link for link in links if link.name not in FALLBACKS}


def _read(body: bytes) -> Link:
    _, _, index, flags, _ = rtnetlink.LINK.unpack_from(body)
    found = dict(netlink.attributes(body, rtnetlink.LINK.size))
    settings = {
        family: dict(netlink.attributes(values, 0))
        for family, values in netlink.attributes(found.get(rtnetlink.IFLA_AF_SPEC, b""), 0)
    }
    values = {number: value for number, value in found.items() if number in SETTABLE or number == IFLA_LINK}
    if rtnetlink.IFLA_LINKINFO in found:
        kind = dict(netlink.attributes(found[rtnetlink.IFLA_LINKINFO], 0)).get(rtnetlink.IFLA_INFO_KIND, b"")
        values[rtnetlink.IFLA_LINKINFO] = kind
    return Link(
        index,
        flags & FLAGS,
        values,
        settings.get(socket.AF_INET, {}).get(IFLA_INET_CONF, b""),
        settings.get(socket.AF_INET6, {}).get(IFLA_INET6_CONF, b""),
    )


def differences(kept: dict[int, Link], now: dict[int, Link]) -> list[Request]:
    """Return what makes links as they were, but for their settings of IPv6.

    :raises NetNSError: one has gone, which says which.
    """
    found: list[Request] = []
    for index in now.keys() - kept.keys():
        found.append(Request(rtnetlink.RTM_DELLINK, rtnetlink.link(index), f"the link {now[index].name} go", 0))
    for index, link in kept.items():
        if index not in now:
            raise _cannot(f"the link {link.name} no longer exists: it was deleted, or moved to another namespace")
        if now[index] != link:
            found += _as_it_was(link, now[index])
    return found


def _as_it_was(link: Link, now: Link) -> Iterator[Request]:
    for number, what in FIXED.items():
        if link.values.get(number) != now.values.get(number):
            raise _cannot(f"the link {link.name} no longer has {what}: it was made anew")
    values = [
        netlink.attribute(number, link.values.get(number) or bytes(4))
        for number in sorted(SETTABLE & (link.values.keys() | now.values.keys()))
        if link.values.get(number) != now.values.get(number)
    ]
    what = f"the link {link.name} as it was"
    down = Request(rtnetlink.RTM_SETLINK, rtnetlink.link(link.index, change=rtnetlink.IFF_UP), what, requests.CHANGE)
    if link.name != now.name and now.flags & rtnetlink.IFF_UP:  # up to Linux 6.1, it has no other name while it is up
        yield down
        now = dataclasses.replace(now, flags=now.flags & ~rtnetlink.IFF_UP)
    changed = link.flags ^ now.flags
    if values or changed & ~rtnetlink.IFF_UP:
        body = rtnetlink.link(link.index, *values, flags=link.flags, change=changed & ~rtnetlink.IFF_UP)
        yield Request(rtnetlink.RTM_SETLINK, body, what, requests.CHANGE)
    if link.ipv4 != now.ipv4 and len(link.ipv4) == len(now.ipv4):
        yield Request(rtnetlink.RTM_SETLINK, _with_settings(link, now), what, requests.CHANGE)
    if link.ipv6 and link.ipv6 != now.ipv6:
        mode = netlink.attribute(rtnetlink.IFLA_INET6_ADDR_GEN_MODE, bytes([_numbers(link.ipv6)[ADDR_GEN_MODE]]))
        family = netlink.nested(rtnetlink.IFLA_AF_SPEC, netlink.nested(socket.AF_INET6, mode))
        yield Request(rtnetlink.RTM_SETLINK, rtnetlink.link(link.index, family), what, requests.CHANGE)
    if changed & link.flags & rtnetlink.IFF_UP:
        body = rtnetlink.link(link.index, flags=rtnetlink.IFF_UP, change=rtnetlink.IFF_UP)
        yield Request(rtnetlink.RTM_SETLINK, body, what, requests.CHANGE)
    elif changed & rtnetlink.IFF_UP:
        yield down


def _with_settings(link: Link, now: Link) -> bytes:
    """Return what gives a link its settings of IPv4 again; the kernel numbers them from 1 (net/ipv4/devinet.c)."""
    changed = [
        netlink.attribute(number, netlink.number(value & 0xFFFFFFFF))
        for number, (value, present) in enumerate(zip(_numbers(link.ipv4), _numbers(now.ipv4), strict=True), 1)
        if value != present
    ]
    family = netlink.nested(socket.AF_INET, netlink.nested(IFLA_INET_CONF, *changed))
    return rtnetlink.link(link.index, netlink.nested(rtnetlink.IFLA_AF_SPEC, family))


def ipv6_settings(kept: dict[int, Link], now: dict[int, Link]) -> dict[str, str]:
    """Return which settings of IPv6 differ, as paths below /proc/sys, and what is to be written."""
    found: dict[str, str] = {}
    for index, link in kept.items():
        present = now[index].ipv6
        if link.ipv6 == present or len(link.ipv6) != len(present):
            continue
        for number, (value, other) in enumerate(zip(_numbers(link.ipv6), _numbers(present), strict=True)):
            if value != other and number in IPV6_SETTINGS:
                found[f"net/ipv6/conf/{link.name}/{IPV6_SETTINGS[number]}"] = str(value)
    return found


def not_as_they_were(kept: dict[int, Link], now: dict[int, Link]) -> list[str]:
    """Return the names of the links that differ from what they were."""
    return [link.name for index, link in kept.items() if now.get(index) != link] + [
        link.name for index, link in now.items() if index not in kept
    ]


def _numbers(packed: bytes) -> tuple[int, ...]:
    return struct.unpack(f"={len(packed) // 4}i", packed)


def _cannot(why: str) -> NetNSOSError:
    return NetNSOSError(errno.ENODEV, f"{why}; that cannot be undone, so close the network and make it anew")
