"""An interface that leaves its link and joins another: what the network is then, and what makes it so."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, TypeAlias

from ..._arguments import check_type
from ..._errors import is_meant
from ..._linux import rtnetlink, syscalls
from .. import model
from ..errors import TopologyError
from ..making import ready, requests, switch
from ..making.channel import Channel
from ..making.recorded import tell_of_links
from ..making.requests import Request
from ..model import End, Link, Network, Node
from ..plan import Plan, Planned, Port, Route
from ..planning.planner import make_plan

if TYPE_CHECKING:
    from ..host import Host

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

GONE = frozenset((errno.ESRCH, errno.ENODEV, errno.ENETUNREACH))  # with the link already
THERE = frozenset((errno.EEXIST,))  # the test has the same route

Way: TypeAlias = "tuple[str, str, str, str]"
"""A link, by the nodes and interfaces of its ends."""


def replugged(plan: Plan, name: str, interface: str, to: str) -> Plan:
    """Return a network in which an interface is at another node, and all the others are as they were.

    :param name: that of the node that has the interface.
    :param to: the name of a switch, or of a node that gets a further interface for it.
    :raises TopologyError: that cannot be.
    """
    moved = _checked(plan, name, interface, to)
    ports = {(id(port.link), port.node.name): port for planned in plan.nodes.values() for port in planned.ports}
    network = Network(
        nodes={planned.name: _with_addresses(planned, moved) for planned in plan.nodes.values()},
        links=[_with_names(link, ports, moved, to) for link in plan.network.links],
        between=plan.network.between,
    )
    made = make_plan(network, has_ipv6=plan.has_ipv6)
    for planned in plan.nodes.values():
        for port in planned.ports:
            found = _named(made, port.node.name, port.name)
            if port not in (moved, moved.peer) and (found is None or found.addresses != port.addresses):
                raise TopologyError(
                    f"{port} would have other addresses after that",
                    hint="replug interfaces of hosts that have one at each switch",
                )
    return made


def _checked(plan: Plan, name: str, interface: str, to: str) -> Port:
    """Return the interface."""
    for one in (interface, to):
        check_type(one, str, 'an interface and where to plug it in are names, as in host.replug("eth0", "lan2")')
    planned = plan.nodes[name]
    if planned.kind == model.SWITCH:
        raise TopologyError(f"{name!r} is a switch", hint="replug the interface of a host at it")
    found = {port.name: port for port in planned.ports}
    if interface not in found:
        raise TopologyError(
            f"{name!r} has no interface {interface!r}",
            hint=f"it has {', '.join(found)}",
            word=interface,
            known=[*found],
        )
    if to not in plan.nodes:
        raise TopologyError(
            f"there is no {to!r} in the network", hint=f"it has {', '.join(plan.nodes)}", word=to, known=[*plan.nodes]
        )
    if to in (name, found[interface].peer.node.name):
        wrong = "is the node itself" if to == name else f"is where {interface} is plugged in already"
        raise TopologyError(f"{to!r} {wrong}", hint="name another switch or node")
    if any(port.link.access or port.link.trunk for port in plan.nodes[to].ports):
        raise TopologyError(f"{to!r} has VLANs, of which none is said", hint="replug to a switch without")
    return found[interface]


def _with_addresses(planned: Planned, moved: Port) -> Node:
    """Return a node that is to get the addresses that it has, but for those of an interface."""
    addresses = [one.ip for port in planned.ports if port not in (moved, moved.peer) for one in port.addresses]
    return dataclasses.replace(planned.node, kind=planned.kind, addresses=addresses, at=None)


def _with_names(link: Link, ports: Mapping[tuple[int, str], Port], moved: Port, to: str) -> Link:
    """Return a link with interfaces and networks that are said, or the one that leads to another node now.

    It takes the place of the one before, since the numbers of interfaces and MAC addresses go by that.
    """
    ends = [End(end.node, ports[id(link), end.node].name) for end in link.ends]
    if link is moved.link:
        left, right = (end if end.node == moved.node.name else End(to) for end in ends)
        return Link(left, right, mtu=link.mtu)
    segment = next((port.segment for end in link.ends if (port := ports[id(link), end.node]).segment is not None), None)
    networks = link.networks if segment is None else segment.networks
    return dataclasses.replace(link, left=ends[0], right=ends[1], networks=[*networks], at=None)


def _named(plan: Plan, node: str, interface: str) -> Port | None:
    return next((port for port in plan.nodes[node].ports if port.name == interface), None)


class Rewiring:
    """Makes of one network another with the same nodes.

    :param before: the one that there is.
    :param after: the one that there is to be.
    :param hosts: the namespaces of its nodes.
    :param timeout: how long it may take, in seconds.
    """

    def __init__(self, before: Plan, after: Plan, hosts: Mapping[str, Host], timeout: float) -> None:
        self._before = before
        self._after = after
        self._hosts = hosts
        self._deadline = syscalls.monotonic() + timeout
        self._undo = contextlib.ExitStack()
        self._channels: dict[str, Channel] = {}

    def make(self, *, with_routes: bool = True) -> None:
        """Make it, and wait until it is ready.

        :param with_routes: whether routes follow, which somebody else mends otherwise.
        :raises NetNSError: the kernel refuses something, or is not ready in time.
        """
        before, after = _ways(self._before), _ways(self._after)
        old = [port for way, port in before.items() if way not in after]
        new = [port for way, port in after.items() if way not in before]
        ends = [end for port in new for end in (port, port.peer)]
        with self._undo:
            for port in old:
                self._send(port.node, [_end(port)], GONE)
            if with_routes:
                self._delete_routes()
            tell_of_links(new, self._hosts)
            for port in new:
                self._send(port.node, [requests.veth(port, self._hosts[port.peer.node.name]._checked_fd())])
            for port in ends:
                self._send(port.node, self._settings(port))
            for port in ends:
                self._wait(port)
            if with_routes:
                self._add_routes({(port.node.name, port.name) for port in ends})

    def _delete_routes(self) -> None:
        for name, planned in self._after.nodes.items():
            now = {_key(route) for route in planned.routes}
            asked = [_no_more(one) for one in self._before.nodes[name].routes if _key(one) not in now]
            self._send(planned, asked, GONE)

    def _add_routes(self, fresh: Collection[tuple[str, str]]) -> None:
        """Add the routes that there were not, and those over interfaces that are new, which have lost theirs."""
        for name, planned in self._after.nodes.items():
            was = {_key(route) for route in self._before.nodes[name].routes}
            asked = [
                requests.add_route(one)
                for one in planned.routes
                if _key(one) not in was or (name, one.port.name) in fresh
            ]
            self._send(planned, asked, THERE)

    def _channel(self, name: str) -> Channel:
        if name not in self._channels:
            self._channels[name] = self._undo.enter_context(contextlib.closing(Channel(self._hosts[name])))
        return self._channels[name]

    def _send(self, planned: Planned, asked: list[Request], ignored: Collection[int] = ()) -> None:
        if asked:
            self._channel(planned.name).send(asked, self._deadline, ignored)

    def _settings(self, port: Port) -> list[Request]:
        return [
            *requests.set_up(port.index, port, *switch.master(port.node), has_ipv6=self._after.has_ipv6),
            *switch.vlans(port),
            *(requests.add_address(port, one) for one in requests.addresses_of(port)),
        ]

    def _wait(self, port: Port) -> None:
        ready.wait_for(self._channel(port.node.name), [port], self._deadline)


def _ways(plan: Plan) -> dict[Way, Port]:
    """Return the links of a network, each with the one of its ends that it is made from."""
    return {
        (planned.name, port.name, port.peer.node.name, port.peer.name): port
        for planned in plan.nodes.values()
        for port in planned.ports
        if port.index < port.peer.index
    }


def _key(route: Route) -> tuple[object, ...]:
    return route.to, route.via, route.port.name


def _end(port: Port) -> Request:
    return Request(rtnetlink.RTM_DELLINK, rtnetlink.link(port.index), f"the end of {port}", requests.CHANGE)


def _no_more(route: Route) -> Request:
    return Request(rtnetlink.RTM_DELROUTE, requests.add_route(route).body, f"the end of {route}", requests.CHANGE)
