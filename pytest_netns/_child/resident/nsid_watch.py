"""What sees whether a namespace that was let go of is still kept by something."""

from __future__ import annotations

import _socket as socket
import errno
import os

from ..._linux import netlink, syscalls

RTM_NEWNSID, RTM_GETNSID = 88, 90  # <linux/rtnetlink.h>
NETNSA_NSID, NETNSA_FD = 1, 3  # <linux/net_namespace.h>
RTGENMSG = bytes(4)
# ENOENT: it has no number any more, or nothing refers to it; EINVAL: a kernel before Linux 5.0, which cannot be asked.
GONE = (errno.ENOENT, errno.EINVAL)


class Observer:
    """Gives namespaces numbers in a namespace of its own, by which the kernel can be asked whether they are kept.

    It is the way of ``ip netns set`` (ip-netns(8)). It keeps no namespace: a number is no reference.

    :param base: a descriptor of the namespace to be in afterwards.
    """

    def __init__(self, base: int) -> None:
        syscalls.unshare()
        try:
            self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        finally:
            syscalls.setns(base)

    def close(self) -> None:
        self._netlink.close()

    def watch(self, number: int, fd: int) -> None:
        """Give a namespace a number, from 0 to 2**31 - 1."""
        attributes = [(NETNSA_NSID, number), (NETNSA_FD, fd)]
        self._ask(RTM_NEWNSID, b"".join(netlink.attribute(kind, netlink.number(value)) for kind, value in attributes))

    def there(self, number: int) -> bool:
        """Whether something refers to the namespace that was given a number.

        The kernel takes the number away only as it takes the namespace down, which may be much later, and the newest
        first. But it looks a number up only where the count of references is not zero (net/core/net_namespace.c,
        get_net_ns_by_id), and that is so from the moment in which the last of them goes.
        """
        try:
            self._ask(RTM_GETNSID, netlink.attribute(NETNSA_NSID, netlink.number(number)), flags=0)
        except OSError as error:
            if error.errno not in GONE:
                raise
            return False
        return True

    def _ask(self, kind: int, attributes: bytes, flags: int = netlink.NLM_F_ACK) -> None:
        self._netlink.send(netlink.message(0, kind, RTGENMSG + attributes, flags))
        for answer, _, _, body in netlink.messages(self._netlink.recv(1024)):
            number = netlink.error_of(body) if answer == netlink.NLMSG_ERROR else 0
            if number:
                raise OSError(number, os.strerror(number))


def hasten_the_end() -> None:
    """Have the calling thread's namespace give up connections that nobody holds any more.

    TCP goes on with what was sent before close(2), for 100 s if the peer is gone (tcp(7), tcp_orphan_retries), and
    that keeps the namespace. With 1 it is the next retransmission. SOCK_DESTROY would be faster, but has such a
    connection live on for ever where the kernel lacks commit bac76cf89816 of 2024.
    """
    if not _has_connections("sockstat", b"TCP:") and not _has_connections("sockstat6", b"TCP6:"):
        return
    try:
        with open("/proc/sys/net/ipv4/tcp_orphan_retries", "wb", buffering=0) as file:
            file.write(b"1")
    except OSError as error:
        if error.errno not in (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT):
            raise  # in a container that has it read-only, it takes its time


def _has_connections(file: str, protocol: bytes) -> bool:
    try:
        fd = os.open(f"/proc/thread-self/net/{file}", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False  # a kernel without IPv6
    try:
        lines = os.read(fd, 1024).splitlines()
    finally:
        os.close(fd)
    return any(line.split()[:2] == [protocol, b"inuse"] and line.split()[2] != b"0" for line in lines)
