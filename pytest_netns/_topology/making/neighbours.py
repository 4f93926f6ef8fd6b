"""The neighbours that a host knows on its links, and those that a switch has learned."""

from __future__ import annotations

from ..._linux import netlink, rtnetlink
from . import requests
from .channel import GONE, Channel
from .requests import Request

NTF_MASTER, NLM_F_REPLACE = 0x04, 0x100  # <linux/neighbour.h>, <linux/netlink.h>
AF_BRIDGE = 7


def of(channel: Channel, deadline: float, family: int = 0) -> list[bytes]:
    """Return the neighbours that there are, of one family or of all but those of bridges."""
    return channel.dump(rtnetlink.RTM_GETNEIGH, deadline, rtnetlink.NEIGHBOUR.pack(family, 0, 0, 0, 0) + bytes(4))


def permanent_ones(channel: Channel, deadline: float) -> set[tuple[int, bytes]]:
    """Return those that are there for ever, by link and address."""
    found = set()
    for body in of(channel, deadline):
        _, index, status, _, _ = rtnetlink.NEIGHBOUR.unpack_from(body)
        if status & rtnetlink.NUD_PERMANENT:
            found.add((index, dict(netlink.attributes(body, rtnetlink.NEIGHBOUR.size)).get(rtnetlink.NDA_DST, b"")))
    return found


def permanent(family: int, index: int, packed: bytes, mac: str) -> Request:
    """Return what adds a neighbour that need not be asked for, or lets one be so."""
    body = rtnetlink.NEIGHBOUR.pack(family, index, rtnetlink.NUD_PERMANENT, 0, 0)
    body += netlink.attribute(rtnetlink.NDA_DST, packed)
    body += netlink.attribute(rtnetlink.NDA_LLADDR, bytes.fromhex(mac.replace(":", "")))
    return Request(rtnetlink.RTM_NEWNEIGH, body, f"the neighbour {mac}", netlink.NLM_F_CREATE | NLM_F_REPLACE)


def forget(body: bytes) -> Request | None:
    """Return what deletes a neighbour, or ``None`` for those that the kernel has by itself."""
    family, index, status, flags, _ = rtnetlink.NEIGHBOUR.unpack_from(body)
    values = dict(netlink.attributes(body, rtnetlink.NEIGHBOUR.size))
    of_bridge = family == AF_BRIDGE
    if status & (rtnetlink.NUD_PERMANENT if of_bridge else rtnetlink.NUD_NOARP):
        return None
    told = (rtnetlink.NDA_LLADDR, rtnetlink.NDA_VLAN) if of_bridge else (rtnetlink.NDA_DST,)
    attributes = [netlink.attribute(one, values[one]) for one in told if one in values]
    head = rtnetlink.NEIGHBOUR.pack(family, index, 0, NTF_MASTER if of_bridge else flags, 0)
    return Request(rtnetlink.RTM_DELNEIGH, head + b"".join(attributes), "a neighbour go", requests.CHANGE)


def forget_the_silent(channel: Channel, link: int, deadline: float) -> None:
    """Forget the neighbours that did not answer at a link: a packet to one would wait for the next try, a second.

    :raises NetNSError: the kernel refuses it.
    """
    heads = ((rtnetlink.NEIGHBOUR.unpack_from(body), body) for body in of(channel, deadline))
    silent = [
        body for head, body in heads if head[1] == link and head[2] & (rtnetlink.NUD_INCOMPLETE | rtnetlink.NUD_FAILED)
    ]
    asked = [one for one in map(forget, silent) if one is not None]
    channel.send(asked, deadline, ignored=GONE)
