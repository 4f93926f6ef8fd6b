"""Causes that the kernel has counted: a table of counters, and the rules of nftables."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..._snapshot import nftables
from .case import COUNTED, TRACED, Case, Finding, Subject, listeners, plural, said
from .path import dropped, spoofed
from .traced import full


class Counted(NamedTuple):
    """What a counter that has risen says."""

    names: tuple[str, ...]
    """As nstat(8) calls them, such as for IPv4 and IPv6; they are added up."""
    say: Callable[[Subject, int], Finding | None]
    """Says it, if it is certain."""


def find(case: Case) -> Iterator[Finding]:
    """Yield what has been counted since the test began."""
    yield from _expired(case)
    for subject in case.subjects:
        for rule in subject.now.nft_rules:
            if rule.verdict in ("drop", "reject") and subject.packets(rule) > 0:
                _, remedy, topic = dropped(subject, rule)
                does = "rejected" if rule.verdict == "reject" else "dropped"
                packets = plural(subject.packets(rule), "packets")
                text = f"{subject.label!r} {does} {packets} by its rule `{rule.text}` ({rule.where})"
                yield Finding(COUNTED, topic, text, remedy)
        for one in COUNTERS:
            number = subject.rose(*one.names)
            finding = one.say(subject, number) if number > 0 else None
            if finding is not None:
                yield finding


def _finding(topic: str, subject: Subject, text: str, remedy: str) -> Finding:
    return Finding(COUNTED, (topic, subject.label), text, remedy)


def _spoofed(subject: Subject, number: int) -> Finding:
    text, remedy, topic = spoofed(subject, "")
    return Finding(COUNTED, topic, f"{subject.label!r} {text.removeprefix('which ')}", remedy)


def _overflown(subject: Subject, number: int) -> Finding:
    for one in listeners(subject, "tcp"):
        if one.received > one.unsent:
            return full(subject, one)._replace(rank=TRACED)
    text = f"an accept queue at {subject.label!r} was full {plural(number, 'times')}: connections did not fit in"
    return _finding("accept queue", subject, text, "accept the connections, or listen with a larger backlog")


def _no_port(subject: Subject, number: int) -> Finding:
    bound = said(listeners(subject, "udp"))
    text = f"{plural(number, 'datagrams')} came to {subject.label!r} for a UDP port to which no socket is bound"
    text += f"; bound there: {bound}" if bound else ""
    return _finding("no port", subject, text, "bind a socket before, to every address or to the one that is sent to")


def _no_room(subject: Subject, number: int) -> Finding:
    full_ones = [one for one in subject.now.sockets if one.kind == "udp" and one.dropped]
    where = f": {said(full_ones)}" if full_ones else ""
    text = f"{subject.label!r} lost {plural(number, 'datagrams')}, since the receive buffer of a UDP socket was full"
    return _finding("udp buffer", subject, text + where, "read faster, or give the socket a larger SO_RCVBUF")


def _not_a_router(subject: Subject, number: int) -> Finding | None:
    if subject.now.value_of("net.ipv4.ip_forward") != "0":
        return None
    text = f"{subject.label!r} got {plural(number, 'packets')} for other addresses, and does not forward"
    text += " (net.ipv4.ip_forward = 0)"
    return _finding("forwarding", subject, text, "let it be a router: net.ipv4.ip_forward = 1")


def _no_route(subject: Subject, number: int) -> Finding:
    text = f"{subject.label!r} had no route for {plural(number, 'packets')} that came to be forwarded"
    return _finding("route", subject, text, f"add the route at {subject.label!r}")


def _no_route_out(subject: Subject, number: int) -> Finding:
    text = f"{subject.label!r} had no route for {plural(number, 'packets')} of its own"
    return _finding("route", subject, text, f"add the route at {subject.label!r}")


def _expired(case: Case) -> Iterator[Finding]:
    """Yield where the TTL of packets ran out, unless they can be those of an assertion such as ``ns.reach``."""
    counted = [(one, one.rose("IcmpOutTimeExcds", "Icmp6OutTimeExcds")) for one in case.subjects]
    if sum(number for _, number in counted) <= sum(one.expired for one in case.subjects):
        return
    for subject, number in counted:
        if number:
            text = f"the TTL of {plural(number, 'packets')} ran out at {subject.label!r}"
            yield _finding("ttl", subject, text, "look for routes that lead in a circle, or send with a larger TTL")


def _too_big(subject: Subject, number: int) -> Finding:
    smallest = min((link for link in subject.now.links if link.name != "lo"), key=lambda link: link.mtu, default=None)
    where = f" ({smallest.name}: {smallest.mtu} bytes)" if smallest is not None else ""
    text = (
        f"{plural(number, 'packets')} did not fit into the MTU of a link of {subject.label!r}{where} and must not be "
    )
    text += f"fragmented{_unsaid(subject)}"
    remedy = "let ICMP 'fragmentation needed' reach the sender, or lower the MTU there; see net.ipv4.tcp_mtu_probing"
    return _finding("mtu", subject, text, remedy)


def _unsaid(subject: Subject) -> str:
    """Return which rule of a router drops what it tells the sender (RFC 1191)."""
    packet = {"l4proto": b"\1", "ip protocol": b"\1", "nfproto": b"\2", "type": b"\3", "code": b"\4"}
    rule = nftables.verdict(subject.now._ruled, "output", packet)
    return "" if rule is None else f"; what {subject.label!r} says of it, its rule `{rule.text}` drops"


def _corrupt(subject: Subject, number: int) -> Finding:
    text = f"{plural(number, 'packets')} came to {subject.label!r} with a wrong checksum, and were dropped"
    return _finding("checksum", subject, text, "see who changes them on their path")


def _unread_close(subject: Subject, number: int) -> Finding:
    text = f"{subject.label!r} closed {plural(number, 'connections')} with data in it that nobody had read: a reset"
    return _finding("reset", subject, text, "read all that comes before the socket is closed")


def _given_up(subject: Subject, number: int) -> Finding:
    text = f"{subject.label!r} gave up {plural(number, 'connections')}, since nothing was acknowledged any more"
    return _finding("given up", subject, text, "see where the packets stop, or what has the other end stop")


def _incomplete(subject: Subject, number: int) -> Finding:
    text = f"{plural(number, 'packets')} could not be put together again at {subject.label!r}: fragments are missing"
    return _finding("fragments", subject, text, "see what drops fragments on their path")


CHECKSUMS = ("TcpInCsumErrors", "UdpInCsumErrors", "Udp6InCsumErrors", "IcmpInCsumErrors", "Icmp6InCsumErrors")
COUNTERS = (
    Counted(("TcpExtIPReversePathFilter",), _spoofed),
    Counted(("TcpExtListenOverflows",), _overflown),
    Counted(("UdpNoPorts", "Udp6NoPorts"), _no_port),
    Counted(("UdpRcvbufErrors", "Udp6RcvbufErrors"), _no_room),
    Counted(("IpFragFails", "Ip6FragFails", "Ip6InTooBigErrors"), _too_big),
    Counted(("IpInAddrErrors",), _not_a_router),
    Counted(("IpExtInNoRoutes", "Ip6InNoRoutes"), _no_route),
    Counted(("IpOutNoRoutes",), _no_route_out),
    Counted(CHECKSUMS, _corrupt),
    Counted(("TcpExtTCPAbortOnClose",), _unread_close),
    Counted(("TcpExtTCPAbortOnTimeout",), _given_up),
    Counted(("IpReasmFails", "Ip6ReasmFails"), _incomplete),
)
"""In the order in which they are said, where nothing else tells which is the more specific."""
