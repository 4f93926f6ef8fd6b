"""Two namespaces joined by a veth link."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

from .._errors import NetNSTimeoutError, NetNSUnsupportedError, is_meant
from .._linux import syscalls

if TYPE_CHECKING:
    from .namespace import NetNS

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

IFNAME = "eth0"
# RFC 5737 and RFC 3849 set these networks aside for documentation, so they belong to nobody.
IPV4, IPV4_PREFIX = ("192.0.2.1", "192.0.2.2"), 24
IPV6, IPV6_PREFIX = ("2001:db8::1", "2001:db8::2"), 64

LEFT_INDEX = 1000
IFA_F_NODAD = 0x02  # <linux/if_addr.h>; an address is usable at once without duplicate address detection
RTMGRP_LINK, RTMGRP_IPV6_IFADDR = 0x1, 0x100  # rtnetlink(7)
TIMEOUT = 5.0  # seconds for an address or a carrier to be ready; it takes up to 20 ms


def join(left: NetNS, right: NetNS) -> None:
    """Join two namespaces by a veth link, ``eth0`` on each side, with addresses, up, and with carrier.

    IPv6 addresses are there where the kernel has IPv6.

    :raises NetNSTimeoutError: there is no carrier.
    """
    # Made in both places at once: to make it in one and to move an end takes forty times as long.
    # And with another index on the left than on the right, where it is the first free one: a link with the index of its
    # peer is taken for one without a peer, and the news of its carrier waits for a second (net/core/link_watch.c).
    peer = {"ifname": IFNAME, "net_ns_fd": right.fileno()}
    left.ipr.link("add", ifname=IFNAME, index=LEFT_INDEX, kind="veth", peer=peer)
    has_ipv6 = _has_ipv6(left)
    for ns, ipv4, ipv6 in zip((left, right), IPV4, IPV6, strict=True):
        index = ns.ipr.link_lookup(ifname=IFNAME)[0]
        ns.ipr.addr("add", index=index, address=ipv4, prefixlen=IPV4_PREFIX)
        if has_ipv6:
            _add_ipv6(ns, index, ipv6)
        ns.ipr.link("set", index=index, state="up")
    for ns in (left, right):
        wait_until_up(ns, IFNAME)


def _has_ipv6(ns: NetNS) -> bool:
    """Whether the kernel has IPv6, which it may have as a module that the first socket loads, or not at all."""
    try:
        ns.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
    except NetNSUnsupportedError:
        return False
    return True


def _add_ipv6(ns: NetNS, index: int, ipv6: str) -> None:
    with _news(ns, RTMGRP_IPV6_IFADDR) as news:
        ns.ipr.addr("add", index=index, address=ipv6, prefixlen=IPV6_PREFIX, flags=IFA_F_NODAD)
        # A work queue has the link join the address's multicast group, without which it hears no neighbour ask for
        # it, and then sends the news (net/ipv6/addrconf.c, addrconf_dad_begin).
        address = socket.inet_pton(socket.AF_INET6, ipv6)
        deadline = syscalls.monotonic() + TIMEOUT
        while address not in _receive(news, deadline, f"{ns}: {ipv6} is not ready after {TIMEOUT:g} s"):
            pass


def wait_until_up(ns: NetNS, ifname: str, timeout: float = TIMEOUT) -> None:
    """Wait for a link's carrier: what is sent before is lost, and an ARP request is repeated only after a second.

    :param timeout: in seconds.
    :raises NetNSTimeoutError: it has none in time.
    """
    deadline = syscalls.monotonic() + timeout
    with _news(ns, RTMGRP_LINK) as news:  # before the look, so that no change falls between
        while ns.ipr.link("get", ifname=ifname)[0].get("operstate") != "UP":
            _receive(news, deadline, f"{ns}: {ifname} has no carrier after {timeout:g} s")


def _news(ns: NetNS, group: int) -> socket.socket:
    """Return a socket on which the kernel sends the news of a group of rtnetlink(7)."""
    news = ns.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    news.bind((0, group))
    return news


def _receive(news: socket.socket, deadline: float, failure: str) -> bytes:
    news.settimeout(max(1e-6, deadline - syscalls.monotonic()))
    try:
        return news.recv(65536)
    except TimeoutError:
        raise NetNSTimeoutError(errno.ETIMEDOUT, failure) from None
