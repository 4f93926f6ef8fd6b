"""When interfaces are ready: each link has carrier, and who asks for an address of IPv6 on it is answered.

The kernel looks through the sockets that listen for its news, those of all namespaces, for each thing that it tells
(net/netlink/af_netlink.c, netlink_broadcast_filtered). So nobody listens but who waits for something, one at a time.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterable, Mapping
from typing import TypeAlias

from ..._errors import NetNSTimeoutError, is_meant
from ..._linux import netlink, rtnetlink, syscalls
from ..plan import Port
from .channel import Channel
from .requests import addresses_of

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

Addresses: TypeAlias = "Mapping[tuple[int, bytes], object]"
"""Addresses of IPv6, each by the index of its link and packed, and what it is called."""

RTMGRP_LINK, RTMGRP_IPV6_ROUTE = 0x1, 0x400  # rtnetlink(7)
LOOK_AGAIN = 1.0  # seconds after which news may have been lost: the kernel drops them as it lacks memory (netlink(7))
NAMED = 5  # of what is not ready, in an error


def wait_for(channel: Channel, ports: Iterable[Port], deadline: float) -> None:
    """Wait until interfaces of a node are ready.

    :raises NetNSTimeoutError: they are not in time.
    """
    links: dict[int, object] = {port.index: port for port in ports}
    addresses = {
        (port.index, one.packed): f"{one.ip} of {port}"
        for port in ports
        for one in addresses_of(port)
        if one.version == 6
    }
    wait(channel, links, addresses, deadline)


def wait(channel: Channel, links: Mapping[int, object], addresses: Addresses, deadline: float) -> None:
    """Wait until links have carrier and addresses are ready.

    A work queue has a link join the multicast group of an address of IPv6, without which it hears no neighbour ask for
    it, and then adds the route by which it is taken for its own (net/ipv6/addrconf.c, addrconf_dad_work).

    :param links: their indices, and what each is called.
    :raises NetNSTimeoutError: they are not in time.
    """
    if not _waiting(channel, links, addresses, deadline):
        return
    with contextlib.closing(channel.listen(RTMGRP_LINK | RTMGRP_IPV6_ROUTE)) as news:
        while waiting := _waiting(channel, links, addresses, deadline):  # after it listens: no change falls between
            now = syscalls.monotonic()
            if now >= deadline:
                raise NetNSTimeoutError(errno.ETIMEDOUT, f"{channel.what}: not ready in time: {_named(waiting)}")
            channel.hear(news, min(deadline, now + LOOK_AGAIN))


def _waiting(channel: Channel, links: Mapping[int, object], addresses: Addresses, deadline: float) -> list[object]:
    """Return what is not ready."""
    deadline = max(deadline, syscalls.monotonic() + LOOK_AGAIN)  # a look is worth having also when time is over
    up = set(_links_with_carrier(channel, deadline)) if links else set()
    asked = [_own_route(index, packed) for index, packed in addresses]
    answers = channel.ask(rtnetlink.RTM_GETROUTE, asked, deadline)
    return [name for index, name in links.items() if index not in up] + [
        name for answer, name in zip(answers, addresses.values(), strict=True) if not _is_local(answer)
    ]


def _links_with_carrier(channel: Channel, deadline: float) -> Iterable[int]:
    for body in channel.dump(rtnetlink.RTM_GETLINK, deadline):
        for attribute, value in netlink.attributes(body, rtnetlink.LINK.size):
            if attribute == rtnetlink.IFLA_OPERSTATE:
                if value[0] == rtnetlink.IF_OPER_UP:
                    yield rtnetlink.LINK.unpack_from(body)[2]
                break  # of the fifty that there are, it is among the first


def _own_route(index: int, packed: bytes) -> bytes:
    return rtnetlink.route(socket.AF_INET6, packed, 128, netlink.attribute(rtnetlink.RTA_OIF, netlink.number(index)))


def _is_local(route: bytes | None) -> bool:
    return route is not None and rtnetlink.ROUTE.unpack_from(route)[7] == rtnetlink.RTN_LOCAL


def _named(waiting: list[object]) -> str:
    more = f" and {len(waiting) - NAMED} more" if len(waiting) > NAMED else ""
    return f"{', '.join(map(str, waiting[:NAMED]))}{more}"
