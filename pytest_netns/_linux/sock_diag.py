"""What listens in a network namespace, as the kernel tells it by sock_diag(7)."""

from __future__ import annotations

import errno
import ipaddress
import itertools
import posix as os  # see syscalls.py
import socket
import struct
from collections.abc import Iterator
from typing import NamedTuple

from . import netlink

SOCK_DIAG_BY_FAMILY = 20  # <linux/sock_diag.h>
INET_DIAG_SKV6ONLY = 11  # <linux/inet_diag.h>; told of each socket of IPv6 that listens (net/ipv4/inet_diag.c)
TCP_CLOSE, TCP_LISTEN = 7, 10  # <net/tcp_states.h>; a UDP socket that is bound and not connected is in the former
CHUNK = 1 << 16  # bytes: more than the kernel puts into one message of a dump
KINDS = {"tcp": (socket.IPPROTO_TCP, TCP_LISTEN), "udp": (socket.IPPROTO_UDP, TCP_CLOSE)}
FAMILIES = (socket.AF_INET, socket.AF_INET6)

REQUEST = struct.Struct("=BBBxI48x")  # struct inet_diag_req_v2, for every socket of a family
ANSWER = struct.Struct("=BBBB2s2s16s16sI8sIIIII")  # struct inet_diag_msg

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class Listener(NamedTuple):
    """A socket that listens or, of UDP, is bound and takes what comes from anybody."""

    kind: str
    address: IPAddress
    port: int
    inode: int
    only_ipv6: bool

    def __str__(self) -> str:
        host = f"[{self.address}]" if self.address.version == 6 else str(self.address)
        return f"{self.kind} {host}:{self.port}"

    def takes(self, address: IPAddress) -> bool:
        """Whether what is sent to an address of the namespace comes to this socket."""
        own = _unmapped(self.address)
        if int(own) or own.version != self.address.version:  # else it is of every address
            return int(own) == int(_unmapped(address)) and own.version == _unmapped(address).version
        return own.version == address.version or (own.version == 6 and not self.only_ipv6)


def _unmapped(address: IPAddress) -> IPAddress:
    """Return the IPv4 address within one of IPv6, if it is such (RFC 4291, 2.5.5.2)."""
    return getattr(address, "ipv4_mapped", None) or address


def listeners(sock: socket.socket, kind: str) -> list[Listener]:
    """Return what listens in the namespace of a socket of NETLINK_SOCK_DIAG.

    :param kind: ``tcp`` or ``udp``.
    :raises OSError: the kernel does not tell; with ENOENT, it lacks the module for that.
    """
    return [found for family in FAMILIES for found in _dump(sock, family, kind)]


def _dump(sock: socket.socket, family: int, kind: str) -> Iterator[Listener]:
    protocol, state = KINDS[kind]
    body = REQUEST.pack(family, protocol, 0, 1 << state)
    sock.send(netlink.message(0, SOCK_DIAG_BY_FAMILY, body, netlink.NLM_F_DUMP))
    while True:
        for number, _, _, content in netlink.messages(sock.recv(CHUNK)):
            if number == netlink.NLMSG_DONE:
                return
            if number == netlink.NLMSG_ERROR:
                code = netlink.error_of(content)
                raise OSError(code, os.strerror(code))
            yield _listener(kind, content)


def _listener(kind: str, content: bytes) -> Listener:
    family, _, _, _, port, _, source, *_, inode = ANSWER.unpack_from(content)
    only_ipv6 = dict(netlink.attributes(content, ANSWER.size)).get(INET_DIAG_SKV6ONLY, b"\0") != b"\0"
    address = source if family == socket.AF_INET6 else source[:4]
    return Listener(kind, ipaddress.ip_address(address), int.from_bytes(port, "big"), inode, only_ipv6)


def is_missing(error: OSError) -> bool:
    """Whether an error of :func:`listeners` says that the kernel lacks its module."""
    return error.errno == errno.ENOENT


def files(kind: str) -> list[str]:
    """Return the files of /proc that say the same to a process inside the namespace (proc_pid_net(5))."""
    return [f"/proc/net/{kind}", f"/proc/net/{kind}6"]


def from_files(kind: str, text: str) -> list[Listener]:
    """Return what listens, as :func:`files` have it, one after the other.

    They do not say which sockets take IPv6 only.
    """
    state = KINDS[kind][1]
    rows = (line.split() for line in text.splitlines())
    found = []
    for fields in itertools.filterfalse(lambda row: row[:1] == ["sl"], rows):
        if int(fields[3], 16) == state:
            host, _, port = fields[1].partition(":")
            words = struct.pack(f"={len(host) // 8}I", *(int(host[at : at + 8], 16) for at in range(0, len(host), 8)))
            found.append(Listener(kind, ipaddress.ip_address(words), int(port, 16), int(fields[9]), False))
    return found
