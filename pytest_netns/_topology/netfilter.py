"""The firewall and the connections that a namespace tracks, asked for and ended by nfnetlink, without a program."""

from __future__ import annotations

import errno
import socket
import struct

from .._errors import NetNSTimeoutError, from_errno, is_meant
from .._linux import rtnetlink, syscalls

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

NETLINK_NETFILTER = 12
# <linux/netfilter/nfnetlink.h>, nf_tables.h, nfnetlink_conntrack.h: the subsystem and the message in it
NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END, NFNL_SUBSYS_NFTABLES = 0x10, 0x11, 10
NFT_MSG_GETTABLE, NFT_MSG_DELTABLE = NFNL_SUBSYS_NFTABLES << 8 | 1, NFNL_SUBSYS_NFTABLES << 8 | 2
CONNECTIONS_END, EXPECTATIONS_END = 1 << 8 | 2, 2 << 8 | 2
HEAD = struct.Struct("=BBH")  # struct nfgenmsg: family, version, and in network order, the subsystem of a batch
LACKS = (errno.EINVAL, errno.EOPNOTSUPP, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT)
RECEIVED = 1 << 16  # bytes
LOOK, CONNECTIONS, EXPECTATIONS, END = 1, 2, 3, 4  # the numbers of the messages


def clear(sock: socket.socket, deadline: float, what: object) -> None:
    """Delete every table of nftables in a namespace, and have it forget the connections that it tracks.

    Where the kernel lacks one of these, there is none.

    :param sock: a socket of ``NETLINK_NETFILTER`` there.
    :param what: what the namespace is called in errors.
    :raises NetNSError: the kernel refuses it.
    """
    any_family = HEAD.pack(socket.AF_UNSPEC, 0, 0)
    sock.send(rtnetlink.message(CONNECTIONS, CONNECTIONS_END, any_family))
    _answers(sock, CONNECTIONS, deadline, what)
    sock.send(rtnetlink.message(EXPECTATIONS, EXPECTATIONS_END, any_family))
    _answers(sock, EXPECTATIONS, deadline, what)
    sock.send(rtnetlink.message(LOOK, NFT_MSG_GETTABLE, any_family, rtnetlink.NLM_F_DUMP))
    if not _answers(sock, LOOK, deadline, what):
        return
    batch = HEAD.pack(socket.AF_UNSPEC, 0, socket.htons(NFNL_SUBSYS_NFTABLES))
    parts = (
        rtnetlink.message(0, NFNL_MSG_BATCH_BEGIN, batch, 0),
        rtnetlink.message(
            END, NFT_MSG_DELTABLE, any_family
        ),  # without a name: all (nf_tables_api.c, nf_tables_deltable)
        rtnetlink.message(0, NFNL_MSG_BATCH_END, batch, 0),
    )
    sock.send(b"".join(parts))
    _answers(sock, END, deadline, what)


def _answers(sock: socket.socket, number: int, deadline: float, what: object) -> int:
    """Wait for the end of an answer; return of how many things it has told."""
    told = 0
    while True:
        sock.settimeout(max(1e-6, deadline - syscalls.monotonic()))
        try:
            received = sock.recv(RECEIVED)
        except TimeoutError:
            text = f"{what}: the kernel does not say what firewall there is"
            raise NetNSTimeoutError(errno.ETIMEDOUT, text) from None
        for kind, _, sequence, body in rtnetlink.messages(received):
            if sequence != number:
                continue
            if kind == rtnetlink.NLMSG_DONE:
                return told
            if kind == rtnetlink.NLMSG_ERROR:
                error = rtnetlink.error_of(body)
                if error and error not in LACKS:
                    raise from_errno(error, f"{what}: cannot clear the firewall")
                return told
            told += 1
