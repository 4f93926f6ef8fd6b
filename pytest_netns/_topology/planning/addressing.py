"""Which network each segment has, and which address each interface: what was given, or the next that is free."""

from __future__ import annotations

import ipaddress
import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator

from ..._errors import is_meant
from ..errors import TopologyError
from ..model import Address, IPNetwork
from ..plan import IPInterface, Plan, Planned, Port, Segment
from .overlaps import check_overlaps, place

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

# RFC 1918 and RFC 3849: private, and for documentation. The first network is 10.0.1.0/24 and 2001:db8:0:1::/64, the
# twelfth 10.0.12.0/24 and 2001:db8:0:12::/64.
POOL4, POOL6 = ipaddress.IPv4Network("10.0.0.0/8"), ipaddress.IPv6Network("2001:db8::/32")
PREFIX4, PREFIX6 = 24, 64
SAME_DIGITS = 9999  # networks of IPv6 have the number of their segment in the same digits up to here


def assign_addresses(plan: Plan) -> None:
    """Give each segment its networks, and each interface its addresses.

    :raises TopologyError: networks overlap for somebody, one has too few addresses, or an address is in none.
    """
    check_overlaps(plan)
    taken = [network for segment in plan.segments for network in segment.networks]
    free: dict[int, _Free] = {4: _Free4(taken), 6: _Free6(taken)}
    for segment in plan.segments:
        for version in _versions(segment):
            if all(network.version != version for network in segment.networks):
                segment.networks.append(free[version].take(len(segment.ports)))
        segment.networks.sort(key=lambda network: network.version)
    wanted = {name: list(planned.node.addresses) for name, planned in plan.nodes.items()}
    for segment in plan.segments:
        for network in segment.networks:
            _assign(plan, segment, network, wanted)
    for name, left in wanted.items():
        if left:
            raise TopologyError(
                f"{left[0]} is in no network of {name!r}, whose links have "
                f"{', '.join(str(network) for network in _networks_of(plan.nodes[name])) or 'none'}",
                plan.network.text,
                plan.nodes[name].node.places.get(str(left[0]), plan.nodes[name].node.at),
                "give the network at the link, as in [192.0.2.0/24]",
            )


def _versions(segment: Segment) -> list[int]:
    return [4, 6] if any(port.node.ipv6 for port in segment.ports) else [4]


def _networks_of(planned: Planned) -> Iterator[IPNetwork]:
    return itertools.chain.from_iterable(port.segment.networks for port in planned.ports if port.segment is not None)


class _Free(ABC):
    """Networks that nobody has been given.

    :param taken: those that somebody has.
    """

    def __init__(self, taken: list[IPNetwork]) -> None:
        self._taken = taken

    def take(self, size: int) -> IPNetwork:
        """Return the next one that has addresses for so many interfaces."""
        for network in self._following(size):
            if not any(map(network.overlaps, self._taken)):
                return network
        raise AssertionError("there is always another")

    @abstractmethod
    def _following(self, size: int) -> Iterator[IPNetwork]:
        """Yield the networks that come next."""


class _Free4(_Free):
    def __init__(self, taken: list[IPNetwork]) -> None:
        super().__init__([network for network in taken if network.version == 4])
        self._next = int(POOL4.network_address) + (1 << 32 - PREFIX4)

    def _following(self, size: int) -> Iterator[ipaddress.IPv4Network]:
        bits = max(32 - PREFIX4, (size + 1).bit_length())  # two addresses belong to nobody
        while True:
            begin = -(-self._next >> bits) << bits
            self._next = begin + (1 << bits)
            yield ipaddress.IPv4Network((begin, 32 - bits))


class _Free6(_Free):
    def __init__(self, taken: list[IPNetwork]) -> None:
        super().__init__([network for network in taken if network.version == 6])
        self._numbers = itertools.count(1)

    def _following(self, size: int) -> Iterator[ipaddress.IPv6Network]:
        for number in self._numbers:
            digits = int(str(number), 16) if number <= SAME_DIGITS else 0x10000 + number
            yield ipaddress.IPv6Network((int(POOL6.network_address) + (digits << 128 - PREFIX6), PREFIX6))


def _assign(plan: Plan, segment: Segment, network: IPNetwork, wanted: dict[str, list[Address]]) -> None:
    """Give each interface of a segment an address in a network, or those of its node that are in it."""
    ports = [port for port in segment.ports if network.version == 4 or port.node.ipv6]
    owners: dict[Address, Planned] = {}
    for port in ports:
        for address in [one for one in wanted[port.node.name] if one in network]:
            wanted[port.node.name].remove(address)
            _check_address(plan, port, address, network, owners)
            owners[address] = port.node
            port.addresses.append(ipaddress.ip_interface(f"{address}/{network.prefixlen}"))
    free = (address for address in network.hosts() if address not in owners)
    without = [port for port in ports if all(one.version != network.version for one in port.addresses)]
    needed = len(owners) + len(without)
    for port in without:
        found: Address | None = next(free, None)
        if found is None:
            larger = network.supernet(new_prefix=max(0, network.max_prefixlen - (needed + 1).bit_length()))
            raise TopologyError(
                f"{network} has too few addresses for {needed} that are needed",
                plan.network.text,
                place(plan, network, segment),
                f"take a larger network, such as {larger}",
            )
        port.addresses.append(ipaddress.ip_interface(f"{found}/{network.prefixlen}"))


def next_free(segment: Segment, current: IPInterface) -> IPInterface | None:
    """Return the address of a segment that follows another one and that nobody has, or ``None`` if all are taken."""
    network = current.network
    taken = {one.ip for port in segment.ports for one in port.addresses}
    if network.num_addresses > 2:
        taken |= {network.network_address, network.broadcast_address}
    start = int(current.ip) - int(network.network_address)
    for offset in range(1, network.num_addresses):
        address = network[(start + offset) % network.num_addresses]
        if address not in taken:
            return ipaddress.ip_interface(f"{address}/{network.prefixlen}")
    return None


def _check_address(
    plan: Plan, port: Port, address: Address, network: IPNetwork, owners: dict[Address, Planned]
) -> None:
    wrong = ""
    if address in owners:
        wrong = f"{address} is that of {owners[address].name!r} already"
    elif network.num_addresses > 2 and address == network.network_address:
        wrong = f"{address} is the address of the network {network} itself, and of no host"
    elif network.version == 4 and network.num_addresses > 2 and address == network.broadcast_address:
        wrong = f"{address} is the broadcast address of {network}, and of no host"
    if wrong:
        node = port.node.node
        raise TopologyError(wrong, plan.network.text, node.places.get(str(address), node.at))
