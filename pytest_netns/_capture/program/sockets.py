"""Packet sockets (packet(7)) as they are before anything is read from them."""

from __future__ import annotations

import _socket as socket
import array
import struct

from ..._linux import syscalls

SOL_PACKET = 263  # <linux/socket.h>
SO_ATTACH_FILTER = 26
SO_RCVBUFFORCE = 33
SO_TIMESTAMPNS = 35
ETH_P_ALL = 3  # <linux/if_ether.h>
QUEUE = 8 << 20  # bytes that the kernel may queue, where it lets us
ARPHRD_ETHER, ARPHRD_LOOPBACK = 1, 772  # <linux/if_arp.h>
PACKET_OUTGOING = 4
PACKET_IGNORE_OUTGOING = 23  # Linux 4.20
RTMGRP_LINK = 1  # <linux/rtnetlink.h>
SIOCGIFNAME, SIOCGIFHWADDR = 0x8910, 0x8927  # netdevice(7)

# Of classic BPF (<linux/filter.h>): load a word of what is known of a packet, jump, return.
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_OF_PACKET, _PACKET_TYPE, _LINK_TYPE = 0xFFFFF000, 4, 28


def filter_frames(sock: socket.socket, longest: int) -> None:
    """Have a socket take the first bytes of each frame only, and of a loopback interface not the outgoing frames.

    Loopback receives each frame that it sends, so that a packet socket sees both.
    """
    steps = (
        (_LOAD, 0, 0, _OF_PACKET + _LINK_TYPE),
        (_JUMP_EQUAL, 0, 2, ARPHRD_LOOPBACK),
        (_LOAD, 0, 0, _OF_PACKET + _PACKET_TYPE),
        (_JUMP_EQUAL, 1, 0, PACKET_OUTGOING),
        (_RETURN, 0, 0, longest),
        (_RETURN, 0, 0, 0),
    )
    code = array.array("B", b"".join(struct.pack("@HBBI", *step) for step in steps))
    sock.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(steps), code.buffer_info()[0]))


def let_queue(fd: int) -> None:
    """Have the kernel queue as much for a socket as it allows."""
    sock = socket.SocketType(socket.AF_PACKET, socket.SOCK_RAW, 0, fd)
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, QUEUE)
    except PermissionError:  # it is a privilege of the machine's root
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, QUEUE)
    finally:
        sock.detach()


def ignore_outgoing(sock: socket.socket, is_ignored: bool = True) -> None:
    """Have a socket take no outgoing frames, or take them too."""
    sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, is_ignored)


def watch_links(fd: int, watch: int) -> None:
    """Have a netlink socket be told of the links of a new namespace, and a packet socket ignore outgoing frames.

    :raises OSError: the kernel cannot do that.
    """
    for family, number, prepare in (
        (socket.AF_NETLINK, watch, lambda sock: sock.bind((0, RTMGRP_LINK))),
        (socket.AF_PACKET, fd, ignore_outgoing),
    ):
        sock = socket.SocketType(family, socket.SOCK_RAW, 0, number)
        try:
            prepare(sock)
        finally:
            sock.detach()


def receive_all(sock: socket.socket) -> None:
    """Have a socket that was made for no protocol receive the frames of all links of its namespace.

    The ``bind`` of Python takes the name of a link.
    """
    syscalls.bind(sock.fileno(), struct.pack("@HHiHBB8s", socket.AF_PACKET, socket.htons(ETH_P_ALL), 0, 0, 0, 0, b""))


def stamp_all_frames() -> socket.socket:
    """Return a socket; as long as it is open, the kernel notes the time of a frame once, for all who ask for it.

    Otherwise two packet sockets would have two times for one frame (net/core/dev.c, netstamp_needed_key).
    """
    sock = socket.SocketType(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    return sock


def name_of(sock: socket.socket, index: int) -> str | None:
    """Return the name of a link in the namespace of a socket, or ``None`` where it has no such link any more."""
    request = struct.pack(f"{syscalls.IFNAMSIZ}si20x", b"", index)
    try:
        answer = syscalls.ioctl(sock, SIOCGIFNAME, request)
    except OSError:
        return None
    return str(answer[: syscalls.IFNAMSIZ].partition(b"\0")[0], "utf-8", "replace")


def address_of(sock: socket.socket, name: str) -> bytes:
    """Return the address of a link, or nothing where it has none, or is gone."""
    try:
        request = struct.pack(f"{syscalls.IFNAMSIZ}s24x", name.encode("utf-8", "surrogateescape"))
        answer = syscalls.ioctl(sock, SIOCGIFHWADDR, request)
    except OSError:
        return b""
    kind = struct.unpack_from("@H", answer, syscalls.IFNAMSIZ)[0]
    return bytes(answer[syscalls.IFNAMSIZ + 2 : syscalls.IFNAMSIZ + 8]) if kind == ARPHRD_ETHER else b""


def whole(data: bytes, length: int, link_type: int, protocol: int, tag: tuple[int, int] | None) -> tuple[bytes, int]:
    """Return a frame as it is on a cable, and its length.

    :param protocol: what the frame carries, where its link has no header of its own, as that of a tunnel.
    :param tag: the protocol and the content of a VLAN tag, which the kernel keeps beside the frame.
    """
    if link_type not in (ARPHRD_ETHER, ARPHRD_LOOPBACK):
        header = bytes(12) + struct.pack("!H", protocol)
        return header + data, length + len(header)
    if tag is not None and len(data) >= 12:
        return data[:12] + struct.pack("!HH", *tag) + data[12:], length + 4
    return data, length
