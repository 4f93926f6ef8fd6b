"""Messages of rtnetlink(7): links, addresses and routes, packed here, since pyroute2 takes 0.2 to 0.4 ms for each.

The resident child imports this module too, so it stays with what the standard library gives cheaply.
"""

from __future__ import annotations

import _socket as socket
import struct

from .netlink import attribute, attributes

# <linux/rtnetlink.h>
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR, RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 20, 21, 22, 24, 25, 26
RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH, RTM_NEWRULE, RTM_DELRULE, RTM_GETRULE = 28, 29, 30, 32, 33, 34
RTM_NEWQDISC, RTM_DELQDISC, RTM_GETQDISC = 36, 37, 38
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_PREFSRC = 1, 4, 5, 6, 7
RT_TABLE_MAIN, RT_TABLE_LOCAL = 254, 255
RTPROT_BOOT, RTPROT_STATIC = 3, 4
RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RT_SCOPE_HOST = 0, 253, 254
RTN_UNICAST, RTN_LOCAL, RTN_BROADCAST = 1, 2, 3
# <linux/if_link.h>, <linux/if_addr.h>, <linux/if.h>, <linux/veth.h>
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_OPERSTATE, IFLA_LINKINFO = 1, 3, 4, 10, 16, 18
IFLA_STATS64 = 23
IFLA_AF_SPEC, IFLA_NET_NS_FD, IFLA_NUM_TX_QUEUES, IFLA_NUM_RX_QUEUES = 26, 28, 31, 32
IFLA_INFO_KIND, IFLA_INFO_DATA = 1, 2
IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE = 8, 1
VETH_INFO_PEER = 1
IFA_ADDRESS, IFA_LOCAL, IFA_F_NODAD = 1, 2, 0x02
IFF_UP, IFF_MULTICAST = 0x1, 0x1000
IF_OPER_UP = 6
# <linux/neighbour.h>, <linux/fib_rules.h>, <linux/pkt_sched.h>
NUD_NONE, NUD_INCOMPLETE, NUD_REACHABLE, NUD_STALE, NUD_DELAY = 0x00, 0x01, 0x02, 0x04, 0x08
NUD_PROBE, NUD_FAILED, NUD_NOARP, NUD_PERMANENT = 0x10, 0x20, 0x40, 0x80
NUD = {
    NUD_NONE: "NONE",
    NUD_INCOMPLETE: "INCOMPLETE",
    NUD_REACHABLE: "REACHABLE",
    NUD_STALE: "STALE",
    NUD_DELAY: "DELAY",
    NUD_PROBE: "PROBE",
    NUD_FAILED: "FAILED",
    NUD_NOARP: "NOARP",
    NUD_PERMANENT: "PERMANENT",
}
"""The states of a neighbour, as ip-neighbour(8) calls them."""
NDA_DST, NDA_LLADDR, NDA_VLAN = 1, 2, 5
FRA_PRIORITY = 6
TCA_KIND, TCA_OPTIONS = 1, 2

LINK = struct.Struct("=BxHiII")
ADDRESS = struct.Struct("=BBBBI")
ROUTE = struct.Struct("=BBBBBBBBI")
NEIGHBOUR = struct.Struct("=BxxxiHBB")
RULE = struct.Struct("=BBBBBxxBI")
QDISC = struct.Struct("=BxxxIIII")


def link(index: int, *attributes: bytes, flags: int = 0, change: int = 0, family: int = socket.AF_UNSPEC) -> bytes:
    """Return the body of a message about a link.

    :param flags: those of ``change`` that are to be set.
    """
    return LINK.pack(family, 0, index, flags, change) + b"".join(attributes)


def address(family: int, packed: bytes, prefix: int, index: int, scope: int = RT_SCOPE_UNIVERSE) -> bytes:
    """Return the body of a message about an address, which is usable without duplicate address detection."""
    head = ADDRESS.pack(family, prefix, IFA_F_NODAD, scope, index)
    return head + attribute(IFA_LOCAL, packed) + attribute(IFA_ADDRESS, packed)


def route(
    family: int,
    packed: bytes,
    prefix: int,
    *attributes: bytes,
    table: int = RT_TABLE_MAIN,
    protocol: int = RTPROT_STATIC,
    scope: int = RT_SCOPE_UNIVERSE,
    kind: int = RTN_UNICAST,
) -> bytes:
    """Return the body of a message about a route."""
    head = ROUTE.pack(family, prefix, 0, 0, table, protocol, scope, kind, 0)
    return head + (attribute(RTA_DST, packed) if prefix else b"") + b"".join(attributes)


def index_of_address(body: bytes) -> int:
    """Return the link that an address is at."""
    return int(ADDRESS.unpack_from(body)[4])


def index_of_route(body: bytes) -> int | None:
    """Return the link over which a route leads, or ``None`` where it leads over several, or nowhere."""
    return next(
        (struct.unpack("=I", value)[0] for kind, value in attributes(body, ROUTE.size) if kind == RTA_OIF), None
    )
