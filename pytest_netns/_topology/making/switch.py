"""A switch: a bridge in a namespace of its own."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from ..._linux import netlink, rtnetlink
from .. import model
from ..plan import Planned, Port
from ..planning.segments import UNTAGGED
from . import requests
from .requests import Request

BRIDGE, BRIDGE_INDEX = "br0", 99
# <linux/if_link.h>, <linux/if_bridge.h>, <linux/socket.h>
IFLA_BR_VLAN_FILTERING = 7
IFLA_BRIDGE_VLAN_INFO = 2
BRIDGE_VLAN_INFO_PVID, BRIDGE_VLAN_INFO_UNTAGGED = 2, 4
AF_BRIDGE = 7


def bridge(planned: Planned, *, has_ipv6: bool) -> list[Request]:
    """Return what makes the bridge of a switch, which sends nothing of its own and is down."""
    if planned.kind != model.SWITCH:
        return []
    what, data = f"the bridge of {planned.name!r}", []
    if any(port.link.access or port.link.trunk for port in planned.ports):
        what += " with VLANs, which takes a kernel with CONFIG_BRIDGE_VLAN_FILTERING"
        data.append(netlink.attribute(IFLA_BR_VLAN_FILTERING, b"\1"))
    info = requests.link_info("bridge", *data)
    name = netlink.attribute(rtnetlink.IFLA_IFNAME, netlink.text(BRIDGE))
    return [
        Request(rtnetlink.RTM_NEWLINK, rtnetlink.link(BRIDGE_INDEX, name, info), what),
        *requests.settle(BRIDGE_INDEX, what, has_ipv6=has_ipv6),
    ]


def start() -> Request:
    """Return what lets a switch forward, once all its ports are ready.

    As soon as its link is up, each host multicasts which groups it is in and that it looks for routers. A switch that
    forwards sends that to all the others, which are millions of packets among a thousand hosts.
    """
    return requests.bring_up(BRIDGE_INDEX, "the bridge forward")


def master(planned: Planned) -> list[bytes]:
    """Return the attribute of a link that makes it a port of its switch."""
    if planned.kind != model.SWITCH:
        return []
    return [netlink.attribute(rtnetlink.IFLA_MASTER, netlink.number(BRIDGE_INDEX))]


def vlans(port: Port) -> Iterator[Request]:
    """Yield what puts a port of a switch into its VLANs, and out of the one that each begins in."""
    if port.node.kind != model.SWITCH or not (port.link.access or port.link.trunk):
        return
    wanted = {port.link.access: BRIDGE_VLAN_INFO_PVID | BRIDGE_VLAN_INFO_UNTAGGED} if port.link.access else {}
    wanted |= dict.fromkeys(port.link.trunk, 0)
    if UNTAGGED not in wanted:
        yield Request(rtnetlink.RTM_DELLINK, _vlan(port, UNTAGGED, 0), f"VLAN {UNTAGGED} at {port}", requests.CHANGE)
    for vlan, flags in wanted.items():
        yield Request(rtnetlink.RTM_SETLINK, _vlan(port, vlan, flags), f"VLAN {vlan} at {port}", requests.CHANGE)


def _vlan(port: Port, vlan: int, flags: int) -> bytes:
    info = netlink.attribute(IFLA_BRIDGE_VLAN_INFO, struct.pack("=HH", flags, vlan))
    return rtnetlink.link(port.index, netlink.nested(rtnetlink.IFLA_AF_SPEC, info), family=AF_BRIDGE)
