"""The mappings of a NAT that do not depend on where a packet goes, in nftables.

The kernel keeps a port where that is free, so that it is independent of the endpoint by chance only. Here, each mapping
is written down by the rule that makes it. For each protocol there are

- the map ``inside``: for a port of the NAT, who in the inside has it, as address and port,
- the map ``outside``: the same the other way round,
- the set ``taken``: the ports of ``inside``, since older kernels do not look for a key alone in a map,
- the set ``permitted``: who in the inside has sent to whom, before any translation.

No element has a timeout: a mapping lasts until a test has the NAT forget it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..plan import Planned
from ..planning.routes import addresses_behind
from ..text import words

PROTOCOLS = ("udp", "tcp")
INDEPENDENT = (words.FULL_CONE, words.RESTRICTED, words.PORT_RESTRICTED, words.CGNAT)
"""The kinds whose mappings these are."""
TRIED = 8  # ports that are tried for a mapping, and another for each host that may have the same source port
ODD = 0x5DEB  # scatters the ports that are tried: to multiply by an odd number makes no two the same (mod 2**n)
FIRST_PORT = 1024
LARGEST, SMALLEST = 4096, 64  # sizes of a block of ports
MOST = (65536 - FIRST_PORT) // SMALLEST - 1
"""Hosts that can each have a block."""


class Block(NamedTuple):
    """Ports that a mapping may get; their number is a power of two, of which the first is a multiple."""

    first: int
    size: int


UPPER = Block(0x8000, 0x8000)


def commands(planned: Planned, table: str, address: str, generation: int) -> Iterator[str]:
    """Yield the commands of nft(8) that add the maps, and the chains that make and use mappings.

    :param table: in which they are.
    :param address: that of the NAT outside.
    :param generation: how often the NAT was bound anew; each generation gives a flow another port.
    """
    behind = [str(one) for one in addresses_behind(planned)]
    for l4 in PROTOCOLS:
        port = f"ip saddr . {l4} sport map @{l4}_outside"
        size = "flags dynamic; size 65535;"
        yield f"add map {table} {l4}_inside {{ type inet_service : ipv4_addr . inet_service; {size} }}"
        yield f"add map {table} {l4}_outside {{ type ipv4_addr . inet_service : inet_service; {size} }}"
        yield f"add set {table} {l4}_taken {{ type inet_service; {size} }}"
        yield from _chain(table, f"{l4}_known", f"meta l4proto {l4} snat to {address} : {port}")
        if planned.translation == words.CGNAT:
            yield from _blocks(table, l4, behind, generation)
        else:
            rules = _mappings(l4, UPPER, generation, TRIED + len(behind))
            yield from _chain(table, f"{l4}_ports", *rules)


def _chain(table: str, name: str, *rules: str) -> Iterator[str]:
    yield f"add chain {table} {name}"
    yield from (f"add rule {table} {name} {rule}" for rule in rules)


def _blocks(table: str, l4: str, behind: list[str], generation: int) -> Iterator[str]:
    """Yield chains by which each host has a block of ports of its own, and whoever else may come has the last one."""
    blocks = blocks_for(len(behind) + 1)
    for block in blocks:
        yield from _chain(table, f"{l4}_{block.first}", *_mappings(l4, block, generation, TRIED))
    own = zip(behind, blocks, strict=False)
    of_hosts = [f"ip saddr {one} goto {l4}_{block.first}" for one, block in own]
    yield from _chain(table, f"{l4}_ports", *of_hosts, f"goto {l4}_{blocks[-1].first}")


def blocks_for(count: int) -> list[Block]:
    """Return so many blocks of ports, as large as may be.

    :param count: at most one more than ``MOST``.
    """
    size = LARGEST
    while len(firsts := range(-(-FIRST_PORT // size) * size, 65536, size)) < count:
        size //= 2
    return [Block(first, size) for first in firsts[:count]]


def _mappings(l4: str, block: Block, generation: int, count: int) -> Iterator[str]:
    """Yield the rules that give a flow the port that it has already, or one that nobody has."""
    inside = f"ip saddr . {l4} sport"
    yield f"jump {l4}_known"
    for port in _ports(f"{l4} sport", block, generation, count):
        yield (
            f"{port} != @{l4}_taken add @{l4}_taken {{ {port} }} add @{l4}_inside {{ {port} : {inside} }} "
            f"add @{l4}_outside {{ {inside} : {port} }} goto {l4}_known"
        )
    yield "drop"


def _ports(source: str, block: Block, generation: int, count: int) -> Iterator[str]:
    """Yield the ports to try for a flow, by its source port, which it keeps at first where it may."""
    for number in range(generation * count, (generation + 1) * count):
        if number == 0 and block == UPPER:
            yield source
        else:
            yield f"{source} & {block.size - 1:#x} ^ {block.first + number * ODD % block.size:#x}"
