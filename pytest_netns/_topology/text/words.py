"""The words of the text form: each setting, what it belongs to, and what is refused until a later release."""

from __future__ import annotations

from typing import NamedTuple

from ..model import KINDS

NODE, LINK = "node", "link"

NAT_KINDS = ("full-cone", "restricted", "port-restricted", "symmetric", "cgnat", "none")
"""How a NAT translates: the presets of RFC 4787."""
FULL_CONE, RESTRICTED, PORT_RESTRICTED, SYMMETRIC, CGNAT, NONE = NAT_KINDS
DEFAULT_NAT = PORT_RESTRICTED
"""As most routers of households."""

NODE_KEYS = ("mtu", "ipv6", "routes", "kind", "outside")
LINK_KEYS = ("mtu", "access", "trunk")

NODE_WORDS = (*KINDS, *NODE_KEYS)

VALID = {
    NODE: (
        "a node takes host, router, switch or nat, an address such as 192.0.2.80, mtu=, ipv6=, routes=, "
        "a sysctl such as net.ipv4.tcp_syncookies=0, and as a nat kind= and outside="
    ),
    LINK: "a link takes networks such as 192.0.2.0/24 and 2001:db8::/64, mtu=, and access= or trunk=",
}


class Fault(NamedTuple):
    """A setting of a link with faults, which come with a later release."""

    key: str
    units: tuple[str, ...]
    """Those of its value; none for a plain number."""


TIMES = ("us", "ms", "s", "min")
RATES = ("bit", "kbit", "mbit", "gbit")
SIZES = ("b", "kb", "mb")
PERCENT = ("%",)

FAULTS = (
    Fault("delay", TIMES),
    Fault("loss", PERCENT),
    Fault("rate", RATES),
    Fault("jitter", TIMES),
    Fault("queue", (*TIMES, *SIZES)),
    Fault("burst", ()),
    Fault("duplicate", PERCENT),
    Fault("reorder", PERCENT),
    Fault("corrupt", PERCENT),
    Fault("seed", ()),
)
"""All spellings that are known, as ``key=value``; the first three also as a quantity alone (10ms, 5%, 10mbit)."""

QUANTITIES = {unit: fault.key for fault in FAULTS[:3] for unit in fault.units}
"""What a quantity without a key is, by its unit."""

WIRE = "wire"
"""The word for a link that can have faults and has none yet."""

FAULT_KEYS = {fault.key: fault for fault in FAULTS}

LATER = "links with faults come with a later release; until then, " + VALID[LINK]
