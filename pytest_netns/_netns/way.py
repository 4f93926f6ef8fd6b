"""The way of a packet out of a namespace: the route that the kernel takes, and the neighbour that it goes to."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, Any, NamedTuple

from .._errors import errno_name, is_meant
from .._linux import rtnetlink, syscalls

if TYPE_CHECKING:
    from .namespace import NetNS

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

RTMGRP_NEIGH = 0x4  # rtnetlink(7)
NTF_USE = 0x01  # <linux/neighbour.h>: resolve it, as for a packet
ANSWERS = (rtnetlink.NUD_REACHABLE, rtnetlink.NUD_NOARP, rtnetlink.NUD_PERMANENT)
RTN_LOCAL = 2  # <linux/rtnetlink.h>
IFF_NOARP, IFF_LOWER_UP = 0x80, 0x10000  # <linux/if.h>
NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH)
BY_ROUTE = {errno.EINVAL: "blackhole", errno.EACCES: "prohibit"}
"""The types of route that throw a packet away, by the error that the kernel gives for them (ip-route(8))."""


class Way(NamedTuple):
    """A route to an address."""

    family: int
    address: str
    number: int = 0
    """The errno, if there is no way."""
    is_local: bool = False
    link: int = 0
    """Its index."""
    interface: str = ""
    gateway: str | None = None
    source: str | None = None

    @property
    def next_hop(self) -> str:
        return self.gateway or self.address

    def __str__(self) -> str:
        if self.number in BY_ROUTE:
            return f"a route of type {BY_ROUTE[self.number]} is there for {self.address}"
        if self.number:
            return f"there is no route to {self.address}: {errno_name(self.number)}"
        if self.is_local:
            return f"{self.address} is an address of this namespace"
        through = f"through {self.gateway} on" if self.gateway else "directly on"
        return f"the route goes {through} {self.interface}" + (f" from {self.source}" if self.source else "")


def find(ns: NetNS, family: int, sockaddr: Any) -> Way:
    """Ask the kernel for the route to an address (rtnetlink(7), RTM_GETROUTE)."""
    address, *others = sockaddr
    address = address.partition("%")[0]
    scope = {"oif": others[2]} if family == socket.AF_INET6 and others[2] else {}
    try:
        route = next(iter(ns.ipr.route("get", family=family, dst=address, **scope)))
    except Exception as error:
        number = getattr(error, "code", None)  # of pyroute2's NetlinkError
        if not isinstance(number, int) or not number:
            raise
        return Way(family, address, number)
    index = route.get("oif")
    link = ns.ipr.get_links(index)[0] if index else None
    gateway = route.get("gateway") or (route.get("via") or {}).get("addr")
    return Way(
        family,
        address,
        is_local=route["type"] == RTN_LOCAL,
        link=index or 0,
        interface=link.get("ifname") if link is not None else "",
        gateway=gateway,
        source=route.get("prefsrc"),
    )


def neighbour(ns: NetNS, way: Way) -> tuple[int | None, str]:
    """Return the state of the next hop as a neighbour, and say it."""
    family = socket.AF_INET6 if ":" in way.next_hop else socket.AF_INET
    for entry in ns.ipr.get_neighbours(family=family, ifindex=way.link):
        if entry.get("dst") == way.next_hop:
            state = entry["state"]
            return state, f"its neighbour {way.next_hop} is {rtnetlink.NUD.get(state, state)}"
    return None, f"{way.next_hop} has not been asked for its link-layer address"


def link_trouble(ns: NetNS, way: Way) -> str:
    """Say what is wrong with the link that a route goes by, if something is."""
    link = ns.ipr.get_links(way.link)[0]
    if not link["flags"] & syscalls.IFF_UP:
        return f"{way.interface} is down"
    return "" if link["flags"] & IFF_LOWER_UP else f"{way.interface} has no carrier"


def confirm(ns: NetNS, way: Way, timeout: float) -> bool:
    """Have the kernel ask the next hop now, whatever it knows of it; return whether it answers.

    :param timeout: in seconds.
    """
    deadline = syscalls.monotonic() + timeout
    with ns.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as news:
        news.bind((0, RTMGRP_NEIGH))  # before the look, so that no change falls between
        state, _ = neighbour(ns, way)
        if state in (rtnetlink.NUD_NOARP, rtnetlink.NUD_PERMANENT):
            return True
        entry = {"dst": way.next_hop, "ifindex": way.link}
        if state in (None, rtnetlink.NUD_NONE, rtnetlink.NUD_FAILED):
            ns.ipr.neigh("replace", **entry, flags=NTF_USE, state=rtnetlink.NUD_NONE)
        elif state != rtnetlink.NUD_INCOMPLETE:  # else the kernel is at it
            ns.ipr.neigh("change", **entry, state=rtnetlink.NUD_PROBE)
        while True:
            state, _ = neighbour(ns, way)
            if state in ANSWERS or state == rtnetlink.NUD_FAILED:
                return state in ANSWERS
            left = deadline - syscalls.monotonic()
            if left <= 0:
                return False
            news.settimeout(left)
            try:
                news.recv(65536)
            except TimeoutError:
                return False
