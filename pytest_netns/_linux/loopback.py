"""The loopback interface of a namespace in which tests run that know nothing of it, where it is the whole network.

The resident child imports this module too, so it stays with what the standard library gives cheaply.
"""

from __future__ import annotations

import _socket as socket
import errno
import os

from . import netlink, rtnetlink

DOWN, UP, COMPLETE = 0, 1, 2
"""How much of it there is: nothing, as the kernel brings it up, or all that :func:`complete` makes."""

LO = 1  # its index in every namespace: LOOPBACK_IFINDEX in <net/net_namespace.h>

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
            for kind, _, sequence, body in netlink.messages(control.recv(1 << 16)):
                if kind == netlink.NLMSG_ERROR:
                    answered += 1
                    number = netlink.error_of(body)
                    if number and not (sequence >= FIRST_OF_IPV6 and number in WITHOUT_IPV6):
                        raise OSError(number, os.strerror(number))
    finally:
        control.close()


def _link() -> tuple[int, bytes]:
    flags = rtnetlink.IFF_UP | rtnetlink.IFF_MULTICAST
    return rtnetlink.RTM_NEWLINK, rtnetlink.link(LO, flags=flags, change=flags)


def _address(family: int, text: str, prefix: int, scope: int) -> tuple[int, bytes]:
    return rtnetlink.RTM_NEWADDR, rtnetlink.address(family, socket.inet_pton(family, text), prefix, LO, scope)


def _route(
    family: int, text: str, prefix: int, table: int, scope: int, kind: int, *others: tuple[int, bytes]
) -> tuple[int, bytes]:
    attributes = [netlink.attribute(*one) for one in ((rtnetlink.RTA_OIF, netlink.number(LO)), *others)]
    packed, protocol = socket.inet_pton(family, text), rtnetlink.RTPROT_BOOT
    body = rtnetlink.route(family, packed, prefix, *attributes, table=table, protocol=protocol, scope=scope, kind=kind)
    return rtnetlink.RTM_NEWROUTE, body


def _message(number: int, kind: int, body: bytes) -> bytes:
    create = 0 if kind == rtnetlink.RTM_NEWLINK else netlink.NLM_F_CREATE
    return netlink.message(number, kind, body, netlink.NLM_F_ACK | create)


_OF_IPV4 = (
    _link(),
    _address(socket.AF_INET, "127.0.0.2", 32, rtnetlink.RT_SCOPE_HOST),
    # With a source, since the kernel takes none of scope host by itself.
    _route(
        *(socket.AF_INET, "224.0.0.0", 4, rtnetlink.RT_TABLE_MAIN, rtnetlink.RT_SCOPE_LINK, rtnetlink.RTN_UNICAST),
        (rtnetlink.RTA_PREFSRC, LOCALHOST),
    ),
    _route(
        *(
            socket.AF_INET,
            "255.255.255.255",
            32,
            rtnetlink.RT_TABLE_LOCAL,
            rtnetlink.RT_SCOPE_LINK,
            rtnetlink.RTN_BROADCAST,
        ),
        (rtnetlink.RTA_PREFSRC, LOCALHOST),
    ),
)
_OF_IPV6 = (
    _address(socket.AF_INET6, "fe80::1", 64, rtnetlink.RT_SCOPE_LINK),
    # Of type local: by one of type multicast, which other links have, what was sent is not received on lo.
    _route(
        *(socket.AF_INET6, "ff00::", 8, rtnetlink.RT_TABLE_LOCAL, rtnetlink.RT_SCOPE_UNIVERSE, rtnetlink.RTN_LOCAL),
        (rtnetlink.RTA_PRIORITY, netlink.number(FAR)),
    ),
)
FIRST_OF_IPV6 = len(_OF_IPV4)
COUNT = FIRST_OF_IPV6 + len(_OF_IPV6)
MESSAGES = b"".join(_message(number, *parts) for number, parts in enumerate((*_OF_IPV4, *_OF_IPV6)))
