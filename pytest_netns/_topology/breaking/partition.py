"""Partitions: nodes that hear no more of each other, whatever is between them."""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import itertools
import socket
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, cast

from ..._errors import is_meant
from ..._linux import netlink, rtnetlink, syscalls
from .. import model
from ..making import neighbours, requests
from ..making.channel import Channel
from ..making.requests import Request
from ..model import Address
from ..plan import Plan, Planned, Port
from . import filters, state
from .mended_links import read

if TYPE_CHECKING:
    from ..host import Host

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

AT_ONCE = 100  # addresses or MAC addresses in one program: 4096 steps are the most that one can have
GONE = frozenset((errno.ENOENT, errno.ENODEV, errno.EINVAL, errno.ESRCH))  # with its link, or by the test


class Names(NamedTuple):
    """By what the packets of a node are known."""

    macs: list[str]
    addresses: list[Address]
    further: list[int]
    """The indices of the links that a test has added, as far as they have MAC addresses."""


class Place(NamedTuple):
    """An interface that gets filters."""

    node: str
    link: int
    called: str


def _place(port: Port) -> Place:
    return Place(port.node.name, port.index, str(port))


class Partitions:
    """Those of a network.

    :param plan: returns the network, as it is worked out.
    :param hosts: its namespaces.
    """

    def __init__(self, plan: Callable[[], Plan], hosts: Mapping[str, Host]) -> None:
        self._get_plan = plan
        self._hosts = hosts
        self._orders = itertools.count(1)
        self._added: list[Cuts] = []

    @property
    def last(self) -> bool:
        """Whether there is one."""
        return bool(self._added)

    @property
    def _plan(self) -> Plan:
        return self._get_plan()

    def forget(self) -> None:
        """Take them for healed, since somebody else has taken away what they had added."""
        self._added.clear()

    def heal(self, timeout: float) -> None:
        """End them all.

        :param timeout: how long it may take, in seconds.
        :raises NetNSError: the kernel refuses something.
        """
        deadline = syscalls.monotonic() + timeout
        while self._added:
            self._undo(self._added[-1], deadline)
            del self._added[-1]

    def _undo(self, cuts: Cuts, deadline: float) -> None:
        for name, asked in cuts.undo.items():
            with contextlib.closing(Channel(self._hosts[name])) as channel:
                channel.send(asked[::-1], deadline, GONE)

    def add(self, groups: list[set[str]], timeout: float) -> None:
        """Add one.

        :param groups: the names of the nodes of each.
        :param timeout: how long it may take, in seconds.
        :raises NetNSError: the kernel refuses something; nothing of it is left then.
        """
        against = {
            name: sorted(set().union(*(other for other in groups if other is not group)))
            for group in groups
            for name in group
        }
        deadline = syscalls.monotonic() + timeout
        cuts = Cuts(self._orders, set().union(*(one.places for one in self._added)))
        with contextlib.ExitStack() as channels:
            opened = {
                name: channels.enter_context(contextlib.closing(Channel(self._hosts[name])))
                for name in dict.fromkeys(itertools.chain(against, *map(self._beside, against)))
            }
            names = {name: self._names(self._plan.nodes[name], opened[name], deadline) for name in against}
            for name, others in against.items():
                for port in self._plan.nodes[name].ports:
                    cuts.at(port, others, names)
                cuts.at_further_links(self._plan.nodes[name], others, names)
                cuts.know(self._plan.nodes[name], set(others), neighbours.permanent_ones(opened[name], deadline))
            try:
                for name, asked in cuts.asked.items():
                    opened[name].send(asked, deadline)
            except BaseException:
                self._undo(cuts, deadline)
                raise
        self._added.append(cuts)

    def _beside(self, name: str) -> Iterator[str]:
        return (port.peer.node.name for port in self._plan.nodes[name].ports)

    def _names(self, planned: Planned, channel: Channel, deadline: float) -> Names:
        """Return by what a node is known now; a test may have given it more."""
        if planned.kind == model.SWITCH:
            return Names([], [], [])
        found = {
            index: link.values.get(rtnetlink.IFLA_ADDRESS, b"")
            for index, link in read(state.look_at_links(channel, deadline)).items()
        }
        links = {index: packed.hex(":") for index, packed in found.items() if len(packed) == 6 and any(packed)}
        macs = {*links.values(), *(port.mac for port in planned.ports)}
        addresses: set[Address] = {one.ip for port in planned.ports for one in port.addresses}
        for body in channel.dump(rtnetlink.RTM_GETADDR, deadline):
            values = dict(netlink.attributes(body, rtnetlink.ADDRESS.size))
            local = values.get(rtnetlink.IFA_LOCAL) or values.get(rtnetlink.IFA_ADDRESS)
            if local is not None:
                addresses.add(ipaddress.ip_address(local))
        of_nodes = sorted(filter(filters.is_of_a_node, addresses), key=lambda one: one.packed)
        return Names(sorted(macs), of_nodes, sorted(links.keys() - {port.index for port in planned.ports}))


class Cuts:
    """What one partition adds to the namespaces, and what takes it away again.

    :param orders: tell filters apart.
    :param taken: the interfaces, by their nodes and indices, that have a place for filters already.
    """

    def __init__(self, orders: Iterator[int], taken: Collection[tuple[str, int]]) -> None:
        self._orders = orders
        self._taken = taken
        self.asked: dict[str, list[Request]] = {}
        self.undo: dict[str, list[Request]] = {}
        self.places: set[tuple[str, int]] = set()

    def at(self, port: Port, others: Collection[str], names: Mapping[str, Names]) -> None:
        """Add filters at the other end of a link, where neither end notices."""
        planned, there = port.node, port.peer
        if there.node.name in others:
            self._filter(_place(there), filters.EGRESS, filters.EVERYTHING)
            return
        if planned.kind == model.SWITCH:
            return
        for place, steps in _programs(planned, others, names, (filters.EGRESS, filters.INGRESS)):
            self._filter(_place(there), place, steps)

    def at_further_links(self, planned: Planned, others: Collection[str], names: Mapping[str, Names]) -> None:
        """Add filters at the links that a test has added to a node, whose other ends nobody knows."""
        for index in names[planned.name].further:
            for place, steps in _programs(planned, others, names, (filters.INGRESS, filters.EGRESS)):
                self._filter(Place(planned.name, index, f"link {index} of {planned.name!r}"), place, steps)

    def _filter(self, at: Place, place: int, steps: Sequence[bytes]) -> None:
        what = f"the filter of a partition at {at.called}"
        if at[:2] not in self.places and at[:2] not in self._taken:
            self.places.add(at[:2])
            self._add(at.node, filters.add_place(at.link, what), filters.delete_place(at.link))
        order = next(self._orders)
        adding = filters.add_filter(at.link, place, order, steps, what)
        self._add(at.node, adding, filters.delete_filter(at.link, place, order))

    def know(self, planned: Planned, others: Collection[str], known: Collection[tuple[int, bytes]]) -> None:
        """Let a node go on knowing its neighbours among others, which it cannot ask any more.

        Else it would tell those who send by it that they are not to be reached, and its own sockets.

        :param known: those that it need not ask for, by link and address.
        """
        for port in planned.ports:
            for other in port.segment.ports if port.segment else ():
                for one in requests.addresses_of(other) if other.node.name in others else ():
                    if (port.index, one.packed) in known or (one.version == 6 and not planned.ipv6):
                        continue
                    family = socket.AF_INET if one.version == 4 else socket.AF_INET6
                    adding = neighbours.permanent(family, port.index, one.packed, other.mac)
                    self._add(planned.name, adding, cast("Request", neighbours.forget(adding.body)))

    def _add(self, name: str, asked: Request, undo: Request) -> None:
        self.asked.setdefault(name, []).append(asked)
        self.undo.setdefault(name, []).append(undo)


def _programs(
    planned: Planned, others: Collection[str], names: Mapping[str, Names], places: tuple[int, int]
) -> Iterator[tuple[int, filters.Program]]:
    """Yield the programs that keep a node and others apart, each with its place.

    :param places: of packets for the node, and of packets from it.
    """
    macs = [mac for name in others for mac in names[name].macs]
    addresses = [address for name in others for address in names[name].addresses]
    own = names[planned.name].addresses if planned.kind != model.HOST else None
    for first in range(0, max(len(macs), len(addresses)), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        for place, direction in zip(places, ("from", "to"), strict=True):
            yield place, filters.program(direction, macs[part], addresses[part], own)
