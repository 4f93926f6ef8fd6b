"""The connections that the kernel tracks in a namespace, and how it forgets them (ctnetlink)."""

from __future__ import annotations

import contextlib
import errno
import socket
from typing import TYPE_CHECKING

from .._errors import NetNSTimeoutError, from_errno, is_meant
from .._linux import rtnetlink
from . import nft

if TYPE_CHECKING:
    from .._netns.namespace import NetNS

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

NETLINK_NETFILTER = 12  # <linux/netlink.h>
IPCTNL_MSG_CT_DELETE = 1 << 8 | 2  # NFNL_SUBSYS_CTNETLINK, <linux/netfilter/nfnetlink.h>, nfnetlink_conntrack.h
OF_ALL_FAMILIES = bytes(4)  # struct nfgenmsg, <linux/netfilter/nfnetlink.h>
FLUSH = rtnetlink.message(1, IPCTNL_MSG_CT_DELETE, OF_ALL_FAMILIES)
"""Names no connection, and so means all (ctnetlink_del_conntrack, net/netfilter/nf_conntrack_netlink.c)."""
RECEIVED = 1 << 16  # bytes
TIMEOUT = 10.0  # seconds


def flush(ns: NetNS) -> None:
    """Let the kernel forget all connections that it tracks in a namespace.

    :raises NetNSError: the kernel refuses it.
    """
    sock = ns.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER, child_mode="resident")
    with contextlib.closing(sock):
        sock.settimeout(TIMEOUT)
        sock.sendall(FLUSH)
        try:
            received = sock.recv(RECEIVED)
        except TimeoutError:
            raise NetNSTimeoutError(errno.ETIMEDOUT, f"{ns}: the kernel forgets no connections") from None
    _, _, _, body = next(rtnetlink.messages(received))
    number = rtnetlink.error_of(body)
    if number:
        raise from_errno(number, f"{ns}: the kernel forgets no connections", remedy=nft.advice())
