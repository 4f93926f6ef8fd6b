"""The rules by which a NAT translates and filters, as rulesets of nftables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..plan import Planned
from ..text import words
from . import mappings
from .mappings import INDEPENDENT, PROTOCOLS

TABLE = "netns_nat_{}"
REMOTE = {words.RESTRICTED: "ip {0}", words.PORT_RESTRICTED: "ip {0} . {l4} {1}"}
"""What of the other side the filter has to know."""
REMOTE_TYPE = {words.RESTRICTED: "ipv4_addr", words.PORT_RESTRICTED: "ipv4_addr . inet_service"}
HALVES = ("1024-33279", "33280-65535")
"""The ports of a symmetric NAT, before and after it was bound anew."""
AT_ONCE = 150
"""Commands that the kernel takes in one batch in a user namespace: it bounds the message by net.core.wmem_max there,
and a rule about a mapping has a kilobyte."""


def rulesets(planned: Planned, number: int, generation: int, *, has_ipv6: bool) -> Iterator[str]:
    """Yield the rulesets of a NAT, to be applied in their order; with the last, they replace those before.

    :param number: how many the NAT has had; each has tables of its own.
    :param generation: how often it was bound anew.
    """
    table = TABLE.format(number)
    if planned.translation in INDEPENDENT:
        commands = [f"add table ip {table}", *mappings.commands(planned, f"ip {table}", _address(planned), generation)]
        for first in range(0, len(commands), AT_ONCE):
            yield "\n".join(commands[first : first + AT_ONCE]) + "\n"
    tables = {"ip": [*_firewall(planned, "icmp"), *_translation(planned, generation)]}
    if has_ipv6:
        tables["ip6"] = list(_firewall(planned, "ipv6-icmp"))
    former = "delete table {} " + TABLE.format(number - 1) + "\n" if number else ""
    yield "".join(
        former.format(family) + f"table {family} {table} {{\n" + "\n".join(parts) + "\n}\n"
        for family, parts in tables.items()
    )


def _chain(name: str, *lines: str) -> str:
    return "\n".join([f"chain {name} {{", *lines, "}"])


def _outside(planned: Planned) -> str:
    assert planned.outside is not None
    return planned.outside.name


def _address(planned: Planned) -> str:
    assert planned.outside is not None
    return str(next(one.ip for one in planned.outside.addresses if one.version == 4))


def _firewall(planned: Planned, icmp: str) -> Iterator[str]:
    """Yield the filter that lets nothing in from outside that was not asked for.

    It drops without an answer: to what the kernel answers it keeps a connection, which would take the port away from
    the mapping that is to have it.
    """
    inside = f'iifname != "{_outside(planned)}" accept'
    asked = ("ct state established,related accept", "ct status dnat accept")
    hairpins_to_nobody: Sequence[str] = ()
    if icmp == "icmp" and planned.translation in INDEPENDENT:
        hairpins_to_nobody = (f'iifname != "lo" ip daddr {_address(planned)} meta l4proto udp ct state new drop',)
    yield _chain("forward", "type filter hook forward priority filter", inside, *asked, "drop")
    yield _chain(
        "input",
        "type filter hook input priority filter",
        *hairpins_to_nobody,
        inside,
        *asked,
        f"meta l4proto {icmp} accept",
        "drop",
    )


def _translation(planned: Planned, generation: int) -> Iterator[str]:
    """Yield what translates IPv4."""
    kind, outside, address = planned.translation, _outside(planned), _address(planned)
    if kind == words.NONE:
        return
    if kind in INDEPENDENT:
        yield _chain(
            "prerouting",
            "type nat hook prerouting priority dstnat",
            *(f"ip daddr {address} dnat ip to {l4} dport map @{l4}_inside" for l4 in PROTOCOLS),
        )
        to_ports = [f"meta l4proto {l4} goto {l4}_ports" for l4 in PROTOCOLS]
    else:
        to_ports = [f"meta l4proto {{ tcp, udp }} snat to {address}:{HALVES[generation % 2]} fully-random"]
    yield _chain("translate", *to_ports, f"snat to {address}")
    yield _chain(
        "postrouting",
        "type nat hook postrouting priority srcnat",
        f'oifname "{outside}" ip saddr != {address} goto translate',
        # What hairpins. Since Linux 5.7, rules see here by which interface it came (netfilter: Support iif matches in
        # POSTROUTING); before, nothing hairpins.
        f'iifname != "{outside}" ct status dnat ct original ip daddr {address} goto translate',
    )
    # The kernel translates nothing that it takes for a stray part of a connection.
    stray = f'oifname "{outside}" ct state invalid drop'
    yield _chain("stray", "type filter hook postrouting priority filter", stray)
    if kind in REMOTE:
        yield from _filter(planned)


def _filter(planned: Planned) -> Iterator[str]:
    """Yield what lets in only who has been sent to.

    That is looked at where both ends are known as the inside knows them, behind all translation: to whom something
    hairpins, it comes from outside.
    """
    kind = planned.translation
    sent, came = [], []
    for l4 in PROTOCOLS:
        to, source = (REMOTE[kind].format(*fields, l4=l4) for fields in (("daddr", "dport"), ("saddr", "sport")))
        types = f"ipv4_addr . inet_service . {REMOTE_TYPE[kind]}"
        yield f"set {l4}_permitted {{ type {types}; flags dynamic; size 65535; }}"
        permit = f"add @{l4}_permitted {{ ip saddr . {l4} sport . {to} }}"
        sent.append(f'iifname != "{_outside(planned)}" ct state new {permit}')
        came.append(
            f"ct state new ct status dnat meta l4proto {l4} ct original proto-dst @{l4}_taken "
            f"ip daddr . {l4} dport . {source} != @{l4}_permitted drop"
        )
    yield _chain("sent", "type filter hook prerouting priority dstnat - 1", *sent)
    yield _chain("came", "type filter hook postrouting priority srcnat + 1", *came)
