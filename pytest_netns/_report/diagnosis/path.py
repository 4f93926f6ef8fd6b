"""Where a packet stops that goes from one namespace to another, as each kernel on the path says by its routes now."""

from __future__ import annotations

import dataclasses
import errno
import ipaddress

from ..._snapshot import nftables
from ..._snapshot.records import UNANSWERED, Link, NftRule
from .case import Case, Subject, plural
from .packet import Packet, Route, route

NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH)
MOST = 32  # hops
FOR_SPOOFED = "send from an address that is routed back the same way, or set net.ipv4.conf.*.rp_filter = 0 at {!r}"


@dataclasses.dataclass
class Followed:
    """The path of a packet: through which namespaces it has come, and what has stopped it, if anything has."""

    hops: list[Subject]
    source: str
    stop: str = ""
    """What has stopped it, at the last of them."""
    remedy: str = ""
    topic: tuple[str, ...] = ()

    def arrow(self, goal: str) -> str:
        """Return the path as a line, with its goal; nothing, if that is where it begins."""
        names = [hop.label for hop in self.hops]
        names += [goal] if goal and goal != names[-1] else []
        return f"{' -> '.join(names)}: " if len(names) > 1 or self.stop else ""


def follow(case: Case, start: Subject, packet: Packet) -> Followed:
    """Follow a packet from the namespace that sends it.

    :raises NetNSError: a namespace cannot be asked.
    """
    followed = Followed([start], packet.source)
    into: Link | None = None
    for _ in range(MOST):
        here = followed.hops[-1]
        found = route(here, packet, into)
        packet.source = followed.source = packet.source or found.source
        if _is_untold(here) or (here.translates and not _is_translated(here, packet, found, into)):
            followed.topic = ("untold", here.label)
            return followed
        followed.source = packet.source
        if _is_stopped(case, followed, packet, found, into) or found.is_local:
            return followed
        next_hop = found.gateway or packet.destination
        then = case.owner(here, next_hop)
        if then is None:
            followed.topic = ("unknown", next_hop)
            return followed
        if then in followed.hops:
            followed.stop = f"routes lead back to {then.label!r}: a loop"
            followed.remedy = f"look at the routes to {packet.destination} of {here.label!r} and {then.label!r}"
            followed.topic = ("loop",)
            return followed
        into = then.interface_of(next_hop)
        followed.hops.append(then)
    return followed


def _is_untold(here: Subject) -> bool:
    """Whether a rule of routing asks for what is not known of a packet, such as its mark."""
    return any(rule.other for rule in here.now.rules)


def _is_translated(here: Subject, packet: Packet, found: Route, into: Link | None) -> bool:
    """Whether it is clear what a namespace that translates addresses makes of a packet; give it its new source."""
    if into is None or found.link is None or found.is_local or found.number or "." not in packet.destination:
        return into is None or ":" in packet.destination
    outside = here.planned.outside if here.planned is not None else None
    if outside is None or found.link.number != outside.index:
        return False
    sources = [str(one.ip) for one in outside.addresses if one.version == 4]
    packet.source = sources[0] if sources else ""
    return bool(sources)


def _is_stopped(case: Case, followed: Followed, packet: Packet, found: Route, into: Link | None) -> bool:
    """Whether a packet stops at the last hop; note why."""
    here = followed.hops[-1]
    stop = _by_filter(here, packet, found, into) or _by_route(here, packet, found, into)
    if stop is None and not found.is_local and found.link is not None:
        stop = _by_link(case, here, found.link, found.gateway or packet.destination)
    if stop is not None:
        followed.stop, followed.remedy, followed.topic = stop
    return stop is not None


Stop = tuple[str, str, tuple[str, ...]]


def _by_route(here: Subject, packet: Packet, found: Route, into: Link | None) -> Stop | None:
    to = packet.destination
    if not found.number:
        return None
    if found.number == errno.EINVAL and into is None:
        return f"which has a route of type blackhole for {to}", "remove that route", ("route", here.label)
    if found.number == errno.EACCES:
        return f"which has a route of type prohibit for {to}", "remove that route", ("route", here.label)
    if found.number in (errno.EXDEV, errno.EINVAL) and here.rose("TcpExtIPReversePathFilter"):
        return spoofed(here, f" from {packet.source} by {into.name if into else 'this interface'}")
    if found.number not in NO_ROUTE:
        return None
    version = ipaddress.ip_address(to).version
    key = "net.ipv4.ip_forward" if version == 4 else "net.ipv6.conf.all.forwarding"
    if into is not None and here.now.value_of(key) == "0":
        return (
            f"which does not forward ({key} = 0)",
            f"let it be a router: {key} = 1",
            ("forwarding", here.label),
        )
    link = here.planned_way(to)
    if link is not None and not link.is_up:
        text = f"which has no route to {to}, since its {link.name} is down"
        return text, f"bring {link.name} of {here.label!r} up", ("link", here.label, link.name)
    return f"which has no route to {to}", f"add a route to {to} at {here.label!r}", ("route", here.label)


def spoofed(here: Subject, what: str) -> Stop:
    """Return what says that a host drops packets by the reverse path filter (RFC 3704)."""
    number = plural(here.rose("TcpExtIPReversePathFilter"), "packets")
    text = (
        f"which dropped {number}{what}: it would answer that source by another interface, or not at all (reverse path "
    )
    return f"{text}filter)", FOR_SPOOFED.format(here.label), ("rp_filter", here.label)


def _by_link(case: Case, here: Subject, link: Link, next_hop: str) -> Stop | None:
    if not link.is_up:
        return f"whose {link.name} is down", f"bring {link.name} up", ("link", here.label, link.name)
    if not link.has_carrier:
        other = _behind(case, here, next_hop)
        remedy = "bring up the interface at its other end"
        return f"whose {link.name} has no carrier{other}", remedy, ("link", here.label, link.name)
    return unanswered(case, here, next_hop)


def unanswered(case: Case, here: Subject, address: str) -> Stop | None:
    """Return what says that a neighbour does not answer, if the kernel has asked in vain since the test began."""
    for one in here.now.neighbours:
        if one.address == address and one.state in UNANSWERED and one.age <= case.duration + 1:
            asked = "ARP" if "." in address else "neighbour discovery"
            behind = _behind(case, here, address)
            return (
                f"where {address} does not answer {asked} on {one.interface} ({one.state}){behind}",
                f"see that {address} is at the other end of {one.interface}, and up",
                ("neighbour", here.label, address),
            )
    return None


def _behind(case: Case, here: Subject, address: str) -> str:
    """Return what is wrong with who has an address, or is to have it, as far as that shows."""
    owners = case.owners(here, address)
    planned = case.should_have(here, address)
    owner = owners[0] if len(owners) == 1 else planned
    if owner is None:
        return f": no host of the network has {address}" if here.network is not None and not owners else ""
    link = owner.interface_of(address) or owner.planned_link(address)
    if link is not None and not link.is_up:
        return f": {link.name} of {owner.label!r} is down"
    if link is not None and not link.has_carrier:
        return f": {link.name} of {owner.label!r} has no carrier"
    if not owners:
        return f": {owner.label!r} has lost that address"
    return "" if link is None else _refused(here, owner, link, address)


def _refused(here: Subject, owner: Subject, link: Link, address: str) -> str:
    """Return what says that a host takes no packet from an address that a socket sends from, so not even ARP."""
    used = {sock.address for sock in here.now.sockets if here.has(sock.address)}
    for source in sorted(one for one in used if "." in one and "." in address):
        found = route(owner, Packet("udp", address, source=source), link)
        if found.number in (errno.EXDEV, errno.EINVAL):
            why = "it would answer that by another interface, or not at all (reverse path filter)"
            return f": {owner.label!r} takes nothing from {source}, since {why}"
    return ""


def _by_filter(here: Subject, packet: Packet, found: Route, into: Link | None) -> Stop | None:
    """Return which rule of nftables stops a packet, if that is certain."""
    hooks = ["output" if into is None else "prerouting"]
    if into is not None and not found.number:
        hooks.append("input" if found.is_local else "forward")
    for hook in hooks:
        out = None if hook in ("prerouting", "input") else found.link
        rule = nftables.verdict(here.now._ruled, hook, packet.fields(into, out))
        if rule is not None:
            return dropped(here, rule)
    return None


def dropped(here: Subject, rule: NftRule) -> Stop:
    """Return what says that a rule of nftables stops a packet."""
    does = "rejects" if rule.verdict == "reject" else "drops"
    number = here.packets(rule)
    counted = f", {plural(number, 'packets')} so far" if number else ""
    what = f"by its rule `{rule.text}` ({rule.where}{counted})" if rule.handle else f"by the policy of {rule.where}"
    return (
        f"which {does} it {what}",
        f"let it pass there, before: ns.nft('insert rule {rule.family} {rule.table} {rule.chain} ... accept')",
        ("nft", here.label, str(rule.handle), rule.chain),
    )
