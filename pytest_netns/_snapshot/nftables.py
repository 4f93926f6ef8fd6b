"""The rules of nftables in a namespace, and what they do to a packet."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from .._linux import netlink
from . import expressions
from .records import NftRule

# <linux/netfilter/nfnetlink.h>, <linux/netfilter/nf_tables.h>
SUBSYSTEM, GETCHAIN, GETRULE = 10, 4, 7
ANY_FAMILY = bytes(4)
HEAD = 4  # bytes of struct nfgenmsg, the first of which is the family
FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
HOOKS = ("prerouting", "input", "forward", "output", "postrouting")
HOOKS_OF_NETDEV = ("ingress", "egress")
CHAIN_TABLE, CHAIN_NAME, CHAIN_HOOK, CHAIN_POLICY = 1, 3, 4, 5
HOOK_NUMBER, HOOK_PRIORITY = 1, 2
RULE_TABLE, RULE_CHAIN, RULE_HANDLE, RULE_EXPRESSIONS = 1, 2, 3, 4
DROP = 0


class Chain(NamedTuple):
    """A chain."""

    family: str
    table: str
    name: str
    hook: str
    priority: int
    drops: bool
    """Whether its policy is to drop."""


class Ruled(NamedTuple):
    """A rule, and what it asks of a packet."""

    rule: NftRule
    matches: tuple[expressions.Match, ...]


def parse(chains: Iterable[bytes], rules: Iterable[bytes]) -> list[Ruled]:
    """Return the rules, each chain's in their order, with its policy last if that is to drop."""
    found: dict[tuple[str, str, str], list[Ruled]] = {}
    known = {(one.family, one.table, one.name): one for one in map(_chain, chains)}
    for body in rules:
        key, handle, parsed = _rule(body)
        chain = known.get(key) or Chain(*key, "", 0, False)
        rule = NftRule(*key, chain.hook, parsed.text, handle, parsed.packets, parsed.verdict, chain.priority)
        found.setdefault(key, []).append(Ruled(rule, parsed.matches))
    for key, chain in known.items():
        if chain.drops:
            rule = NftRule(*key, chain.hook, "policy drop", 0, None, "drop", chain.priority)
            found.setdefault(key, []).append(Ruled(rule, ()))
    return [one for rules_of_chain in found.values() for one in rules_of_chain]


def _text(values: Mapping[int, bytes], key: int) -> str:
    return values.get(key, b"").rstrip(b"\0").decode(errors="replace")


def _family(body: bytes) -> str:
    return FAMILIES.get(body[0], str(body[0]))


def _chain(body: bytes) -> Chain:
    values = dict(netlink.attributes(body, HEAD))
    family, hook, priority = _family(body), "", 0
    if CHAIN_HOOK in values:
        inner = dict(netlink.attributes(values[CHAIN_HOOK], 0))
        number = int.from_bytes(inner.get(HOOK_NUMBER, b""), "big")
        names = HOOKS_OF_NETDEV if family == "netdev" else HOOKS
        hook = names[number] if number < len(names) else str(number)
        (priority,) = struct.unpack("!i", inner.get(HOOK_PRIORITY, bytes(4)))
    policy = values.get(CHAIN_POLICY)
    drops = bool(hook) and policy is not None and int.from_bytes(policy, "big") == DROP
    return Chain(family, _text(values, CHAIN_TABLE), _text(values, CHAIN_NAME), hook, priority, drops)


def _rule(body: bytes) -> tuple[tuple[str, str, str], int, expressions.Parsed]:
    values = dict(netlink.attributes(body, HEAD))
    key = _family(body), _text(values, RULE_TABLE), _text(values, RULE_CHAIN)
    handle = int.from_bytes(values.get(RULE_HANDLE, b""), "big")
    return key, handle, expressions.parse(values.get(RULE_EXPRESSIONS, b""))


def verdict(ruled: Iterable[Ruled], hook: str, packet: Mapping[str, bytes]) -> NftRule | None:
    """Return the rule that certainly drops or rejects a packet at a hook; ``None`` if none does, or it cannot be told.

    :param packet: its fields, as :class:`expressions.Match` names them.
    """
    family = "ip6" if "ip6 saddr" in packet else "ip"
    chains: dict[tuple[str, str, str], list[Ruled]] = {}
    for one in ruled:
        if one.rule.hook == hook and one.rule.family in ("inet", family):
            chains.setdefault(one.rule[:3], []).append(one)
    for chain in sorted(chains.values(), key=lambda chain: chain[0].rule.priority):
        stops, is_known = _of_chain(chain, packet)
        if stops is not None or not is_known:
            return stops
    return None


def _of_chain(chain: Iterable[Ruled], packet: Mapping[str, bytes]) -> tuple[NftRule | None, bool]:
    """Return the rule of a chain that stops a packet, if one does, and whether what it does can be told."""
    for rule, matches in chain:
        held = [match.holds(packet) for match in matches]
        if False in held or not rule.verdict or rule.verdict == "continue":
            continue
        if None in held or rule.verdict not in ("drop", "reject", "accept"):
            return None, False
        return (rule, True) if rule.verdict in ("drop", "reject") else (None, True)
    return None, True
