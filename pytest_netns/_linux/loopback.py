"""The loopback interface of a namespace in which tests run that know nothing of it, where it is the whole network.

The resident child imports this module too, so it stays with what the standard library gives cheaply.
"""

from __future__ import annotations

import _socket as socket
import errno
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

DOWN, UP, COMPLETE = 0, 1, 2
"""How much of it there is: nothing, as the kernel brings it up, or all that :func:`complete` makes."""

# <linux/rtnetlink.h>, <linux/netlink.h>, <linux/if_link.h>, <linux/if_addr.h>, <linux/if.h>
RTM_NEWLINK, RTM_NEWADDR, RTM_NEWROUTE = 16, 20, 24
NLM_F_REQUEST, NLM_F_ACK, NLM_F_CREATE = 0x1, 0x4, 0x400
NLMSG_ERROR = 2
IFF_UP, IFF_MULTICAST = 0x1, 0x1000
IFA_LOCAL, IFA_ADDRESS, IFA_F_NODAD = 2, 1, 0x02
RTA_DST, RTA_OIF, RTA_PRIORITY, RTA_PREFSRC = 1, 4, 6, 7
RT_TABLE_MAIN, RT_TABLE_LOCAL = 254, 255
RTPROT_BOOT = 3
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RT_SCOPE_HOST = 0, 253, 254
RTN_UNICAST, RTN_LOCAL, RTN_BROADCAST = 1, 2, 3
LO = 1  # its index in every namespace: LOOPBACK_IFINDEX in <net/net_namespace.h>

HEADER = struct.Struct("=IHHII")
LOCALHOST = socket.inet_aton("127.0.0.1")
FAR = 1 << 20  # a metric that leaves the multicast of IPv6 to any other link that there may be
WITHOUT_IPV6 = (errno.EOPNOTSUPP, errno.EAFNOSUPPORT, errno.EACCES, errno.ENODEV)  # EACCES: by the sysctl disable_ipv6


def complete() -> None:
    """Bring lo of the calling thread's namespace up, with all that programs expect of a network of one host.

    - 127.0.0.2 and fe80::1, since glibc's ``AI_ADDRCONFIG`` takes 127.0.0.1 and ::1 for no address (getaddrinfo(3));
    - the flag and the routes by which multicast and broadcast go to who listens in the namespace.

    What takes IPv6 is left out where the kernel has none.
    """
    control = socket.SocketType(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    try:
        control.send(MESSAGES)
        answered = 0
        while answered < COUNT:
            answer = control.recv(1 << 16)
            for sequence, number in _results(answer):
                answered += 1
                if number and not (sequence >= FIRST_OF_IPV6 and number in WITHOUT_IPV6):
                    raise OSError(number, os.strerror(number))
    finally:
        control.close()


def _results(answer: bytes) -> Iterator[tuple[int, int]]:
    """Yield the number of each message that was answered, and the errno, or 0."""
    offset = 0
    while offset < len(answer):
        length, kind, _, sequence, _ = HEADER.unpack_from(answer, offset)
        if kind == NLMSG_ERROR:
            yield sequence, -struct.unpack_from("=i", answer, offset + HEADER.size)[0]
        offset += length


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value  # all values here are of whole words


def _link() -> tuple[int, bytes]:
    flags = IFF_UP | IFF_MULTICAST
    return RTM_NEWLINK, struct.pack("=BxHiII", socket.AF_UNSPEC, 0, LO, flags, flags)


def _address(family: int, text: str, prefix: int, scope: int) -> tuple[int, bytes]:
    address = socket.inet_pton(family, text)
    body = struct.pack("=BBBBI", family, prefix, IFA_F_NODAD, scope, LO)
    return RTM_NEWADDR, body + _attribute(IFA_LOCAL, address) + _attribute(IFA_ADDRESS, address)


def _route(
    family: int, text: str, prefix: int, table: int, scope: int, kind: int, *others: tuple[int, bytes]
) -> tuple[int, bytes]:
    body = struct.pack("=BBBBBBBBI", family, prefix, 0, 0, table, RTPROT_BOOT, scope, kind, 0)
    attributes = (RTA_DST, socket.inet_pton(family, text)), (RTA_OIF, struct.pack("=I", LO)), *others
    return RTM_NEWROUTE, body + b"".join(_attribute(*attribute) for attribute in attributes)


def _message(number: int, kind: int, body: bytes) -> bytes:
    flags = NLM_F_REQUEST | NLM_F_ACK | (0 if kind == RTM_NEWLINK else NLM_F_CREATE)
    return HEADER.pack(HEADER.size + len(body), kind, flags, number, 0) + body


_OF_IPV4 = (
    _link(),
    _address(socket.AF_INET, "127.0.0.2", 32, RT_SCOPE_HOST),
    # With a source, since the kernel takes none of scope host by itself.
    _route(
        *(socket.AF_INET, "224.0.0.0", 4, RT_TABLE_MAIN, RT_SCOPE_LINK, RTN_UNICAST),
        (RTA_PREFSRC, LOCALHOST),
    ),
    _route(
        *(socket.AF_INET, "255.255.255.255", 32, RT_TABLE_LOCAL, RT_SCOPE_LINK, RTN_BROADCAST),
        (RTA_PREFSRC, LOCALHOST),
    ),
)
_OF_IPV6 = (
    _address(socket.AF_INET6, "fe80::1", 64, RT_SCOPE_LINK),
    # Of type local: by one of type multicast, which other links have, what was sent is not received on lo.
    _route(
        *(socket.AF_INET6, "ff00::", 8, RT_TABLE_LOCAL, RT_SCOPE_UNIVERSE, RTN_LOCAL),
        (RTA_PRIORITY, struct.pack("=I", FAR)),
    ),
)
FIRST_OF_IPV6 = len(_OF_IPV4)
COUNT = FIRST_OF_IPV6 + len(_OF_IPV6)
MESSAGES = b"".join(_message(number, *parts) for number, parts in enumerate((*_OF_IPV4, *_OF_IPV6)))
