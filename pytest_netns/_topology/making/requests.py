"""The requests to the kernel that make a network: links, addresses and routes."""

from __future__ import annotations

import ipaddress
import socket
from typing import NamedTuple

from ..._linux import netlink, rtnetlink
from ..plan import IPInterface, Port, Route

CHANGE = 0  # the flags of a request that changes what is there


class Request(NamedTuple):
    """A request to the kernel."""

    kind: int
    body: bytes
    what: object
    """What it makes, as text, for errors."""
    flags: int = netlink.NLM_F_CREATE | netlink.NLM_F_EXCL


def veth(port: Port, place_of_peer: int) -> Request:
    """Return what makes a link, with both ends in their places: to move an end later takes forty times as long.

    :param place_of_peer: the descriptor of the other namespace.
    """
    place = netlink.attribute(rtnetlink.IFLA_NET_NS_FD, netlink.number(place_of_peer))
    peer = netlink.nested(rtnetlink.VETH_INFO_PEER, rtnetlink.link(port.peer.index, *_end(port.peer), place))
    return Request(rtnetlink.RTM_NEWLINK, rtnetlink.link(port.index, *_end(port), link_info("veth", peer)), port)


def _end(port: Port) -> list[bytes]:
    """Return what a link is made with, at one end.

    By default a veth gets a queue each way for each CPU and then lets go of all but one, which waits for all CPUs
    (drivers/net/veth.c, veth_init_queues).
    """
    attributes = [
        netlink.attribute(rtnetlink.IFLA_NUM_TX_QUEUES, netlink.number(1)),
        netlink.attribute(rtnetlink.IFLA_NUM_RX_QUEUES, netlink.number(1)),
        netlink.attribute(rtnetlink.IFLA_IFNAME, netlink.text(port.name)),
        netlink.attribute(rtnetlink.IFLA_ADDRESS, bytes.fromhex(port.mac.replace(":", ""))),
    ]
    if port.mtu is not None:
        attributes.append(netlink.attribute(rtnetlink.IFLA_MTU, netlink.number(port.mtu)))
    return attributes


def link_info(kind: str, *data: bytes) -> bytes:
    return netlink.nested(
        rtnetlink.IFLA_LINKINFO,
        netlink.attribute(rtnetlink.IFLA_INFO_KIND, kind.encode()),
        netlink.nested(rtnetlink.IFLA_INFO_DATA, *data),
    )


def set_up(index: int, what: object, *attributes: bytes, has_ipv6: bool) -> list[Request]:
    """Return what brings a link up.

    What it is to be is said before: of what one request has, the kernel brings the link up first
    (net/core/rtnetlink.c, do_setlink).
    """
    return [*settle(index, what, *attributes, has_ipv6=has_ipv6), bring_up(index, what)]


def settle(index: int, what: object, *attributes: bytes, has_ipv6: bool) -> list[Request]:
    """Return what says of a link that is down what it is to be.

    The kernel is to add no address of its own, which it would probe for a second or two.
    """
    if has_ipv6:
        mode = netlink.attribute(rtnetlink.IFLA_INET6_ADDR_GEN_MODE, bytes([rtnetlink.IN6_ADDR_GEN_MODE_NONE]))
        attributes += (netlink.nested(rtnetlink.IFLA_AF_SPEC, netlink.nested(socket.AF_INET6, mode)),)
    return [Request(rtnetlink.RTM_NEWLINK, rtnetlink.link(index, *attributes), what, CHANGE)] if attributes else []


def bring_up(index: int, what: object) -> Request:
    body = rtnetlink.link(index, flags=rtnetlink.IFF_UP, change=rtnetlink.IFF_UP)
    return Request(rtnetlink.RTM_NEWLINK, body, what, CHANGE)


def addresses_of(port: Port) -> list[IPInterface]:
    """Return the addresses of an interface, with that of IPv6 for its link alone."""
    if port.segment is None or not port.node.ipv6:
        return port.addresses
    return [*port.addresses, link_local(port.mac)]


def link_local(mac: str) -> ipaddress.IPv6Interface:
    """Return the address that goes with a MAC address (RFC 4291, appendix A)."""
    octets = bytearray.fromhex(mac.replace(":", ""))
    octets[0] ^= 2
    return ipaddress.IPv6Interface((b"\xfe\x80" + bytes(6) + octets[:3] + b"\xff\xfe" + octets[3:], 64))


def add_address(port: Port, interface: IPInterface) -> Request:
    family = socket.AF_INET if interface.version == 4 else socket.AF_INET6
    scope = rtnetlink.RT_SCOPE_LINK if interface.is_link_local else rtnetlink.RT_SCOPE_UNIVERSE
    body = rtnetlink.address(family, interface.packed, interface.network.prefixlen, port.index, scope)
    return Request(rtnetlink.RTM_NEWADDR, body, f"the address {interface} of {port}")


def add_route(route: Route) -> Request:
    family = socket.AF_INET if route.to.version == 4 else socket.AF_INET6
    body = rtnetlink.route(
        family,
        route.to.network_address.packed,
        route.to.prefixlen,
        netlink.attribute(rtnetlink.RTA_GATEWAY, route.via.packed),
        netlink.attribute(rtnetlink.RTA_OIF, netlink.number(route.port.index)),
    )
    return Request(rtnetlink.RTM_NEWROUTE, body, route)
