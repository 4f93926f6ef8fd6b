"""What sees whether a namespace that was let go of is gone."""

from __future__ import annotations

import errno
import os
import socket
import struct

from .. import kernel

# <linux/rtnetlink.h>, <linux/netlink.h>, <linux/net_namespace.h>
RTM_NEWNSID, RTM_GETNSID = 88, 90
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
NETNSA_NSID, NETNSA_FD = 1, 3
HEADER = struct.Struct("=IHHII")
ATTRIBUTE = struct.Struct("=HHi")
RTGENMSG = bytes(4)


class Observer:
    """Gives namespaces numbers in a namespace of its own; the kernel takes a number away as its namespace goes.

    It is the way of ``ip netns set`` (ip-netns(8)). It keeps no namespace: a number is no reference.

    :param home: a descriptor of the namespace to be in afterwards.
    """

    def __init__(self, home: int) -> None:
        kernel.unshare()
        try:
            self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        finally:
            kernel.setns(home)

    def close(self) -> None:
        self._netlink.close()

    def watch(self, number: int, fd: int) -> None:
        """Give a namespace a number, from 0 to 2**31 - 1."""
        attributes = ATTRIBUTE.pack(8, NETNSA_NSID, number) + ATTRIBUTE.pack(8, NETNSA_FD, fd)
        self._send(RTM_NEWNSID, NLM_F_REQUEST | NLM_F_ACK, attributes)
        self._check(self._netlink.recv(1024), 0)

    def there(self) -> set[int]:
        """Return the numbers of the namespaces that are not gone."""
        numbers: set[int] = set()
        self._send(RTM_GETNSID, NLM_F_REQUEST | NLM_F_DUMP, b"")
        while True:
            answer, offset = self._netlink.recv(1 << 16), 0
            while offset < len(answer):
                length, kind, *_ = HEADER.unpack_from(answer, offset)
                if kind == NLMSG_DONE:
                    return numbers
                self._check(answer, offset)
                first = offset + HEADER.size + len(RTGENMSG)
                for _, attribute, value in ATTRIBUTE.iter_unpack(answer[first : offset + length]):
                    if attribute == NETNSA_NSID:
                        numbers.add(value)
                offset += length

    def _send(self, kind: int, flags: int, attributes: bytes) -> None:
        length = HEADER.size + len(RTGENMSG) + len(attributes)
        self._netlink.send(HEADER.pack(length, kind, flags, 0, 0) + RTGENMSG + attributes)

    @staticmethod
    def _check(answer: bytes, offset: int) -> None:
        if HEADER.unpack_from(answer, offset)[1] == NLMSG_ERROR:
            (number,) = struct.unpack_from("=i", answer, offset + HEADER.size)
            if number:
                raise OSError(-number, os.strerror(-number))


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
