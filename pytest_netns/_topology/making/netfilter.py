"""The firewall and the connections that a namespace tracks, asked for and ended by nfnetlink, without a program."""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Collection

from ..._errors import NetNSTimeoutError, from_errno, is_meant
from ..._linux import netlink, syscalls
from ..translating.nft import advice

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

# <linux/netfilter/nfnetlink.h>, nf_tables.h, nfnetlink_conntrack.h: the subsystem and the message in it
NFNL_MSG_BATCH_BEGIN, NFNL_MSG_BATCH_END, NFNL_SUBSYS_NFTABLES = 0x10, 0x11, 10
NFT_MSG_GETTABLE, NFT_MSG_DELTABLE = NFNL_SUBSYS_NFTABLES << 8 | 1, NFNL_SUBSYS_NFTABLES << 8 | 2
CONNECTIONS_END, EXPECTATIONS_END = 1 << 8 | 2, 2 << 8 | 2
HEAD = struct.Struct("=BBH")  # struct nfgenmsg: family, version, and in network order, the subsystem of a batch
ANY_FAMILY = HEAD.pack(socket.AF_UNSPEC, 0, 0)
LACKS = (errno.EINVAL, errno.EOPNOTSUPP, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT)
RECEIVED = 1 << 16  # bytes
LOOK, CONNECTIONS, EXPECTATIONS, END = 1, 2, 3, 4  # the numbers of the messages


def forget_connections(sock: socket.socket, deadline: float, what: object, ignored: Collection[int] = ()) -> None:
    """Have a namespace forget the connections that it tracks, and those that it expects.

    :param sock: a socket of ``NETLINK_NETFILTER`` there.
    :param what: what the namespace is called in errors.
    :param ignored: errnos that say that the kernel tracks none.
    :raises NetNSError: the kernel refuses it.
    """
    for number, kind in ((CONNECTIONS, CONNECTIONS_END), (EXPECTATIONS, EXPECTATIONS_END)):
        sock.send(netlink.message(number, kind, ANY_FAMILY))
        _answers(sock, number, deadline, f"{what}: the kernel forgets no connections", ignored)


def clear(sock: socket.socket, deadline: float, what: object) -> None:
    """Delete every table of nftables in a namespace, and have it forget the connections that it tracks.

    Where the kernel lacks one of these, there is none.

    :param sock: as of :func:`forget_connections`, with what follows it.
    :raises NetNSError: the kernel refuses it.
    """
    forget_connections(sock, deadline, what, LACKS)
    failure = f"{what}: the kernel does not clear the firewall"
    sock.send(netlink.message(LOOK, NFT_MSG_GETTABLE, ANY_FAMILY, netlink.NLM_F_DUMP))
    if not _answers(sock, LOOK, deadline, failure, LACKS):
        return
    batch = HEAD.pack(socket.AF_UNSPEC, 0, socket.htons(NFNL_SUBSYS_NFTABLES))
    parts = (
        netlink.message(0, NFNL_MSG_BATCH_BEGIN, batch, 0),
        netlink.message(END, NFT_MSG_DELTABLE, ANY_FAMILY),  # of no name: all (nf_tables_api.c, nf_tables_deltable)
        netlink.message(0, NFNL_MSG_BATCH_END, batch, 0),
    )
    sock.send(b"".join(parts))
    _answers(sock, END, deadline, failure, LACKS)


def _answers(sock: socket.socket, number: int, deadline: float, failure: str, ignored: Collection[int]) -> int:
    """Wait for the end of an answer; return of how many things it has told."""
    told = 0
    while True:
        sock.settimeout(max(1e-6, deadline - syscalls.monotonic()))
        try:
            received = sock.recv(RECEIVED)
        except TimeoutError:
            raise NetNSTimeoutError(errno.ETIMEDOUT, failure) from None
        for kind, _, sequence, body in netlink.messages(received):
            if sequence != number:
                continue
            if kind == netlink.NLMSG_DONE:
                return told
            if kind == netlink.NLMSG_ERROR:
                error = netlink.error_of(body)
                if error and error not in ignored:
                    raise from_errno(error, failure, remedy=advice())
                return told
            told += 1
