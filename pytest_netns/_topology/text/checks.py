"""Which names and numbers a network may have, whether its text or a builder gives them."""

from __future__ import annotations

import ipaddress
import re

from ..model import Address, IPNetwork

NODE_NAME = re.compile(r"(?=.{1,63}\Z)[A-Za-z_][A-Za-z0-9_]*(?:[-.][A-Za-z0-9_]+)*")
"""The names of nodes: they are the names of hosts (hosts(5)), and no way to write an address (inet_aton(3))."""
NODE_NAMES = (
    "a name has at most 63 letters, digits, '-', '_' and '.', begins with a letter, and has no two '-' or '.' in a row"
)

INTERFACE_NAME = re.compile(r"[A-Za-z0-9_.@+-]+")
INTERFACE_BYTES = 15  # IFNAMSIZ - 1, <linux/if.h>
INTERFACE_NAMES = "the name of an interface has at most 15 letters, digits, '-', '_', '.', '+' and '@'"
# lo is there already; the kernel has no interface called as the folders of /proc/sys/net/ipv4/conf that mean others
# (sysctl_dev_name_is_allowed, net/ipv4/devinet.c), nor as those of a directory (dev_valid_name, net/core/dev.c).
INTERFACES_TAKEN = ("lo", "all", "default", ".", "..")

MTU = range(68, 65536)
"""From what IPv4 takes at least (RFC 791) to what veth takes at most (ETH_MAX_MTU)."""
VLANS = range(1, 4095)
"""Those that can be used: 0 and 4095 are reserved (IEEE 802.1Q)."""
UNICAST = "take one for documentation, of 192.0.2.0/24 or 2001:db8::/32, or a private one, of 10.0.0.0/8 or fd00::/8"


class Refused(Exception):
    """A name or a number cannot be."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def node_name(name: str) -> None:
    """Check the name of a node.

    :raises Refused: it cannot be one.
    """
    if not NODE_NAME.fullmatch(name):
        reason = f"it has {len(name)} characters" if len(name) > 63 else None
        raise Refused(f"{name!r} cannot be the name of a node" + (f": {reason}" if reason else ""), NODE_NAMES)
    if name.lower() == "localhost":
        raise Refused(f"{name!r} cannot be the name of a node: it means the loopback interface", "choose another name")


def interface_name(name: str) -> None:
    """Check the name of an interface.

    :raises Refused: it cannot be one.
    """
    if len(name.encode()) > INTERFACE_BYTES:
        raise Refused(
            f"{name!r} cannot be the name of an interface: it has {len(name.encode())} bytes", INTERFACE_NAMES
        )
    if not INTERFACE_NAME.fullmatch(name):
        raise Refused(f"{name!r} cannot be the name of an interface", INTERFACE_NAMES)
    if name in INTERFACES_TAKEN:
        raise Refused(f"{name!r} cannot be the name of an interface: it is reserved", "choose another name")


def mtu(value: int) -> None:
    """Check an MTU in bytes.

    :raises Refused: it is out of range.
    """
    if value not in MTU:
        raise Refused(f"an MTU of {value} bytes cannot be", f"an MTU is from {MTU[0]} to {MTU[-1]} bytes")


def vlan(value: int) -> None:
    """Check the number of a VLAN.

    :raises Refused: it is out of range.
    """
    if value not in VLANS:
        raise Refused(f"{value} cannot be the number of a VLAN", f"VLANs have the numbers {VLANS[0]} to {VLANS[-1]}")


def address(value: Address) -> None:
    """Check that an address can be that of a node.

    :raises Refused: it cannot.
    """
    for kind, article in (("multicast", "a"), ("loopback", "a"), ("unspecified", "the")):
        if getattr(value, f"is_{kind}"):
            raise Refused(f"{value} cannot be the address of a node: it is {article} {kind} address", UNICAST)
    if isinstance(value, ipaddress.IPv6Address) and value.scope_id:
        raise Refused(f"{value} cannot be the address of a node: it has a zone", f"leave out '%{value.scope_id}'")


def network(value: IPNetwork) -> None:
    """Check that a network can be that of a link.

    :raises Refused: it cannot.
    """
    for kind in ("multicast", "loopback"):
        if getattr(value, f"is_{kind}"):
            raise Refused(f"{value} cannot be the network of a link: it has {kind} addresses", UNICAST)
