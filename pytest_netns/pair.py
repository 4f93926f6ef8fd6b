"""Two namespaces joined by a veth link."""

from __future__ import annotations

import errno
import select
import socket
import time
from typing import TYPE_CHECKING

from .errors import NetNSTimeoutError

if TYPE_CHECKING:
    from .namespace import NetNS

IFNAME = "eth0"
# RFC 5737 and RFC 3849 set these networks aside for documentation, so they belong to nobody.
IPV4, IPV4_PREFIX = ("192.0.2.1", "192.0.2.2"), 24
IPV6, IPV6_PREFIX = ("2001:db8::1", "2001:db8::2"), 64

LEFT_INDEX = 1000
IFA_F_NODAD = 0x02  # <linux/if_addr.h>; an address is usable at once without duplicate address detection
RTMGRP_LINK = 1  # rtnetlink(7)
CARRIER_TIMEOUT = 5.0  # seconds; it takes up to 20 ms


def join(left: NetNS, right: NetNS) -> None:
    """Join two namespaces by a veth link, ``eth0`` on each side, with addresses, up, and with carrier.

    :raises NetNSTimeoutError: there is no carrier.
    """
    # Made in both places at once: to make it in one and to move an end takes forty times as long.
    # And with another index on the left than on the right, where it is the first free one: a link with the index of its
    # peer is taken for one without a peer, and the news of its carrier waits for a second (net/core/link_watch.c).
    peer = {"ifname": IFNAME, "net_ns_fd": right.fileno()}
    left.ipr.link("add", ifname=IFNAME, index=LEFT_INDEX, kind="veth", peer=peer)
    for ns, ipv4, ipv6 in zip((left, right), IPV4, IPV6, strict=True):
        index = ns.ipr.link_lookup(ifname=IFNAME)[0]
        ns.ipr.addr("add", index=index, address=ipv4, prefixlen=IPV4_PREFIX)
        ns.ipr.addr("add", index=index, address=ipv6, prefixlen=IPV6_PREFIX, flags=IFA_F_NODAD)
        ns.ipr.link("set", index=index, state="up")
    for ns in (left, right):
        wait_until_up(ns, IFNAME)


def wait_until_up(ns: NetNS, ifname: str, timeout: float = CARRIER_TIMEOUT) -> None:
    """Wait for a link's carrier: what is sent before is lost, and an ARP request is repeated only after a second.

    :param timeout: in seconds.
    :raises NetNSTimeoutError: it has none in time.
    """
    deadline = time.monotonic() + timeout
    with ns.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as changes:
        changes.bind((0, RTMGRP_LINK))  # before the look, so that no change falls between
        poll = select.poll()
        poll.register(changes, select.POLLIN)
        while ns.ipr.link("get", ifname=ifname)[0].get("operstate") != "UP":
            if not poll.poll(max(0, deadline - time.monotonic()) * 1000):
                raise NetNSTimeoutError(errno.ETIMEDOUT, f"{ns}: {ifname} has no carrier after {timeout:g} s")
            changes.recv(65536)
