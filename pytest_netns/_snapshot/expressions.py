"""The expressions of a rule of nftables: as nft(8) writes them, and what they ask of a packet."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from .._linux import netlink

# <linux/netfilter/nf_tables.h>
NFTA_EXPR_NAME, NFTA_EXPR_DATA, NFTA_DATA_VALUE, NFTA_DATA_VERDICT = 1, 2, 1, 2
VERDICTS = {0: "drop", 1: "accept", -1: "continue", -3: "jump", -4: "goto", -5: "return"}
COMPARED = ("", "!= ", "< ", "<= ", "> ", ">= ")
META = {4: "iif", 5: "oif", 6: "iifname", 7: "oifname", 3: "mark", 0: "length", 15: "nfproto", 16: "l4proto"}
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp"}
NFPROTO = {2: "ipv4", 10: "ipv6"}
STATES = {0x01: "invalid", 0x02: "established", 0x04: "related", 0x08: "new", 0x40: "untracked"}
NETWORK, TRANSPORT = 1, 2
PAYLOAD = {
    (NETWORK, 12, 4): "ip saddr",
    (NETWORK, 16, 4): "ip daddr",
    (NETWORK, 9, 1): "ip protocol",
    (NETWORK, 8, 1): "ip ttl",
    (NETWORK, 8, 16): "ip6 saddr",
    (NETWORK, 24, 16): "ip6 daddr",
    (TRANSPORT, 0, 2): "sport",
    (TRANSPORT, 2, 2): "dport",
    (TRANSPORT, 0, 1): "type",
    (TRANSPORT, 1, 1): "code",
}
"""What is at an offset in a header, by its length."""
OF_NETWORKS = {12: "ip saddr", 16: "ip daddr", 8: "ip6 saddr", 24: "ip6 daddr"}
"""Of an address that is compared with a network, only the first bytes are looked at."""
TOGETHER = {
    (TRANSPORT, 0, 4): ("sport", "dport"),
    (TRANSPORT, 0, 2): ("type", "code"),
    (NETWORK, 12, 8): ("ip saddr", "ip daddr"),
    (NETWORK, 8, 32): ("ip6 saddr", "ip6 daddr"),
}
"""Fields of the same size that stand side by side, which are compared at once."""
IN_TRANSPORT = ("sport", "dport", "type", "code")
REJECTS = {1: "reject with tcp reset"}
WITHOUT_CONDITION = ("log", "notrack", "objref", "last")
UNKNOWN = "?"


class Match(NamedTuple):
    """What an expression compares with what."""

    field: str
    """As ``dport``; ``?`` for what is not known here."""
    comparison: str
    """One of ``COMPARED``, or ``in`` for what is between two values."""
    value: bytes
    mask: bytes
    last: bytes = b""

    def holds(self, packet: Mapping[str, bytes]) -> bool | None:
        """Whether it is so of a packet; ``None`` where that cannot be told.

        :param packet: its fields.
        """
        given = packet.get(self.field)
        if given is None:
            return None
        if self.mask and len(self.mask) == len(given):
            given = bytes(one & other for one, other in zip(given, self.mask, strict=True))
        given = given[: len(self.value)]
        if self.comparison == "in":
            return self.value <= given <= self.last
        found = {"": given == self.value, "!= ": given != self.value, "< ": given < self.value}
        found |= {"<= ": given <= self.value, "> ": given > self.value, ">= ": given >= self.value}
        return found[self.comparison]


class Parsed(NamedTuple):
    """A rule."""

    text: str
    packets: int | None
    verdict: str
    matches: tuple[Match, ...]


class _Reader:
    """Reads expressions, one after the other, as the kernel does: each has values in registers compared by the next."""

    def __init__(self) -> None:
        self.field, self.mask, self.protocol = UNKNOWN, b"", ""
        self.words: list[str] = []
        self._others: tuple[str, ...] = ()
        self._unsaid = ""  # the protocol, which nft says only where nothing of its header follows
        self.matches: list[Match] = []
        self.packets: int | None = None
        self.verdict = ""

    def read(self, name: str, values: dict[int, bytes]) -> None:
        if name in ("immediate", "reject", "masq", "redir", "nat"):
            self.flush()
        reading = getattr(self, f"_{name}", None)
        if reading is not None:
            reading(values)
            return
        self.words.append(name)
        if name not in WITHOUT_CONDITION:  # among them are those of iptables-nft, "match" and "target"
            self.matches.append(Match(UNKNOWN, "", b"", b""))

    def _payload(self, values: dict[int, bytes]) -> None:
        base, offset, length = (int.from_bytes(values.get(key, b""), "big") for key in (2, 3, 4))
        self.field, self.mask, self._others = PAYLOAD.get((base, offset, length), UNKNOWN), b"", ()
        is_icmp = self.protocol.startswith("icmp")
        if (base, offset, length) in TOGETHER and (self.field == UNKNOWN or is_icmp):
            self.field, self._others = "", TOGETHER[base, offset, length]
        elif base == NETWORK and self.field == UNKNOWN and length < 16:
            self.field = OF_NETWORKS.get(offset, UNKNOWN)

    def _meta(self, values: dict[int, bytes]) -> None:
        self.field, self.mask = META.get(int.from_bytes(values.get(2, b""), "big"), UNKNOWN), b""

    def _ct(self, values: dict[int, bytes]) -> None:
        self.field, self.mask = "ct state" if not any(values.get(2, b"")) else UNKNOWN, b""

    def _bitwise(self, values: dict[int, bytes]) -> None:
        self.mask = _value_of(values.get(4, b""))

    def _cmp(self, values: dict[int, bytes]) -> None:
        comparison = COMPARED[int.from_bytes(values.get(2, b""), "big")]
        value = _value_of(values.get(3, b""))
        if self.field or comparison:
            self._add(Match(self.field or UNKNOWN, comparison, value, self.mask))
            return
        for name in self._others:  # nft has put comparisons of what stands side by side into one
            size = len(value) // len(self._others)
            at = size * self._others.index(name)
            self._add(Match(name, "", value[at : at + size], self.mask[at : at + size]))

    def _range(self, values: dict[int, bytes]) -> None:
        is_in = not any(values.get(2, b""))
        first, last = (_value_of(values.get(key, b"")) for key in (3, 4))
        self._add(Match(self.field if is_in else UNKNOWN, "in", first, self.mask, last))

    def _add(self, match: Match) -> None:
        self.matches.append(match)
        if match.field not in IN_TRANSPORT:
            self.flush()
        if match.field == "l4proto" and not match.comparison:
            self.protocol = PROTOCOLS.get(match.value[0], str(match.value[0]))
            self._unsaid = f"meta l4proto {self.protocol}"
        else:
            self._unsaid = ""
            self.words.append(_text(match, self.protocol))

    def flush(self) -> None:
        self.words.append(self._unsaid)
        self._unsaid = ""

    def _counter(self, values: dict[int, bytes]) -> None:
        self.packets = int.from_bytes(values.get(2, b""), "big")

    def _immediate(self, values: dict[int, bytes]) -> None:
        data = dict(netlink.attributes(values.get(2, b""), 0)).get(NFTA_DATA_VERDICT, b"")
        verdict = dict(netlink.attributes(data, 0))
        if 1 in verdict:
            self.verdict = VERDICTS.get(int.from_bytes(verdict[1], "big", signed=True), "?")
            chain = verdict.get(2, b"").rstrip(b"\0").decode(errors="replace")
            self.words.append(f"{self.verdict} {chain}".strip())

    def _reject(self, values: dict[int, bytes]) -> None:
        self.verdict = "reject"
        self.words.append(REJECTS.get(int.from_bytes(values.get(1, b""), "big"), "reject"))

    def _redir(self, values: dict[int, bytes]) -> None:
        self.verdict = "redir"
        self.words.append("redirect")

    def _masq(self, values: dict[int, bytes]) -> None:
        self.verdict = "masquerade"
        self.words.append("masquerade")

    def _nat(self, values: dict[int, bytes]) -> None:
        self.verdict = "dnat" if any(values.get(1, b"")) else "snat"
        self.words.append(self.verdict)


def _value_of(data: bytes) -> bytes:
    return dict(netlink.attributes(data, 0)).get(NFTA_DATA_VALUE, b"")


def _text(match: Match, protocol: str) -> str:
    """Return a comparison as nft writes it."""
    field, value = match.field, _shown(match)
    if field in IN_TRANSPORT:
        field = f"{protocol or 'th'} {field}"
    elif field in ("nfproto", "l4proto"):
        field = f"meta {field}"
    comparison = "" if match.comparison in ("in", "") or match.field == "ct state" else match.comparison
    return f"{field} {comparison}{value}"


def _shown(match: Match) -> str:
    value, field = match.value, match.field
    if field in ("ip saddr", "ip daddr", "ip6 saddr", "ip6 daddr"):
        size = 4 if field.startswith("ip ") else 16
        prefix = int.from_bytes(match.mask, "big").bit_count() if match.mask else 8 * len(value)
        address = str(ipaddress.ip_address(value.ljust(size, b"\0")[:size]))
        return address if prefix == 8 * size else f"{address}/{prefix}"
    if field in ("iifname", "oifname"):
        return '"' + value.rstrip(b"\0").decode(errors="replace") + '"'
    if field == "ct state":
        bits = int.from_bytes(match.mask, "little")
        return ",".join(name for bit, name in STATES.items() if bits & bit)
    if field in ("l4proto", "nfproto", "ip protocol"):
        names = NFPROTO if field == "nfproto" else PROTOCOLS
        return names.get(value[0], str(value[0]))
    if field in ("iif", "oif", "mark", "length"):
        return str(int.from_bytes(value, "little"))
    if field == UNKNOWN:
        return value.hex()
    first = str(int.from_bytes(value, "big"))
    return f"{first}-{int.from_bytes(match.last, 'big')}" if match.comparison == "in" else first


def parse(expressions: bytes) -> Parsed:
    """Return what the expressions of a rule say."""
    reader = _Reader()
    for name, values in _each(expressions):
        reader.read(name, values)
    return Parsed(" ".join(filter(None, reader.words)), reader.packets, reader.verdict, tuple(reader.matches))


def _each(expressions: bytes) -> Iterator[tuple[str, dict[int, bytes]]]:
    for _, one in netlink.attributes(expressions, 0):
        values = dict(netlink.attributes(one, 0))
        yield (
            values.get(NFTA_EXPR_NAME, b"").rstrip(b"\0").decode(errors="replace"),
            dict(netlink.attributes(values.get(NFTA_EXPR_DATA, b""), 0)),
        )
