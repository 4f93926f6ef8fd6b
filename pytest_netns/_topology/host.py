"""A node of a network, as tests have it: a namespace with interfaces."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from .._child.resident.requests import READ_SYSCTL, WRITE_SYSCTL
from .._errors import NetNSError, NetNSOSError, is_meant
from .._linux import netlink, rtnetlink, syscalls
from .._netns.namespace import NetNS
from .making import neighbours, netfilter, ready, requests
from .making.channel import GONE, Channel
from .paths import describe, end_of, follow, wait

if TYPE_CHECKING:
    from .breaking.state import State
    from .plan import IPInterface, Plan, Planned, Port

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

LOOPBACK = 1  # its index in every namespace
READY_TIMEOUT = 5.0  # seconds for a link to have carrier again; it takes up to 20 ms
ROUTE_TIMEOUT = 60.0  # seconds; OSPF takes a silent neighbour for dead after 40 (RFC 2328, appendix C.3)


class Interface:
    """An interface of a host: one end of a link."""

    __module__ = "pytest_netns"

    def __init__(self, port: Port, find: Callable[[str], Host]) -> None:
        self._port = port
        self._find = find

    @property
    def name(self) -> str:
        """Its name, such as ``eth0``."""
        return self._port.name

    @property
    def index(self) -> int:
        """Its number in its namespace."""
        return self._port.index

    @property
    def mac(self) -> str:
        """Its MAC address, as ``02:00:00:00:00:01``."""
        return self._port.mac

    @property
    def addresses(self) -> list[IPInterface]:
        """Its addresses with their networks, as objects of ``ipaddress``; a port of a switch has none."""
        return list(self._port.addresses)

    @property
    def host(self) -> Host:
        """The host that has it."""
        return self._find(self._port.node.name)

    @property
    def peer(self) -> Interface:
        """The interface at the other end of the link."""
        peer = self._port.peer
        return self._find(peer.node.name).interfaces[peer.name]

    def __repr__(self) -> str:
        return f"<Interface {self}>"

    def __str__(self) -> str:
        return f"{self._port.name} of {self._port.node.name!r}"

    def down(self) -> None:
        """Take it down, as an administrator does: the other end loses its carrier, and the routes over it go.

        :raises NetNSError: the kernel refuses it.
        """
        body = rtnetlink.link(self.index, change=rtnetlink.IFF_UP)
        asked = requests.Request(rtnetlink.RTM_NEWLINK, body, self, requests.CHANGE)
        with contextlib.closing(Channel(self.host)) as channel:
            channel.send([asked], syscalls.monotonic() + READY_TIMEOUT)

    def up(self) -> None:
        """Bring it up, with the addresses and routes that it had.

        If the other end is up, wait until both are ready: what is sent before is lost.

        :raises NetNSError: the kernel refuses it, or it is not ready in time.
        """
        deadline = syscalls.monotonic() + READY_TIMEOUT
        addresses = [one for one in requests.addresses_of(self._port) if one.version == 6]  # those of IPv4 stay
        lost = [
            *requests.set_up(self.index, self, has_ipv6=self.host._plan.has_ipv6),
            *(requests.add_address(self._port, one) for one in addresses),
            *(requests.add_route(route) for route in self.host._planned.routes if route.port is self._port),
        ]
        with (
            contextlib.closing(Channel(self.host)) as channel,
            contextlib.closing(Channel(self.peer.host)) as channel_of_peer,
        ):
            channel.send([one._replace(flags=one.flags & ~netlink.NLM_F_EXCL) for one in lost], deadline)
            if self.peer.index in channel_of_peer.links_up(deadline):
                ready.wait_for(channel, [self._port], deadline)
                ready.wait(channel_of_peer, {self.peer.index: self.peer}, {}, deadline)
            neighbours.forget_the_silent(channel, self.index, deadline)
            neighbours.forget_the_silent(channel_of_peer, self.peer.index, deadline)


class Host(NetNS):
    """A node of a network: a namespace with interfaces and addresses.

    Everything that a ``NetNS`` can works here. ``net["client"]`` gives it.
    """

    __module__ = "pytest_netns"

    _plan: Plan
    _planned: Planned
    _built: State | None = None
    """What it had when the network was ready."""
    _find: Callable[[str], Host]
    interfaces: Mapping[str, Interface]
    """Its interfaces by name, in the order of the text."""

    def _join(self, plan: Plan, find: Callable[[str], Host]) -> None:
        """Tell it to which network it belongs; its label is the name of its node."""
        self._find = find
        self._sysctls_before: dict[str, str] = {}
        self._interfaces: dict[str, Interface] = {}
        self.interfaces = MappingProxyType(self._interfaces)
        self._be_as_in(plan)

    def _replug_by(self, replug: Callable[[str, str, str], object]) -> None:
        """Tell it what plugs an interface of a node in elsewhere."""
        self._replug = replug

    def _be_as_in(self, plan: Plan) -> None:
        """Take what a network says of it; interfaces that it had already stay the same objects."""
        self._plan, self._planned = plan, plan.nodes[self.label]
        had = dict(self._interfaces)
        self._interfaces.clear()
        for port in self._planned.ports:
            interface = self._interfaces[port.name] = had.get(port.name) or Interface(port, self._find)
            interface._port = port

    @property
    def kind(self) -> str:
        """What it is: ``host``, ``router``, ``switch`` or ``nat``."""
        return self._planned.kind

    @property
    def ip(self) -> str:
        """Its first IPv4 address.

        :raises ValueError: it has none, as a switch.
        """
        return self._first(4)

    @property
    def ip6(self) -> str:
        """Its first IPv6 address.

        :raises ValueError: it has none, as a switch, or what has ``ipv6=off``.
        """
        return self._first(6)

    def replug(self, interface: str, to: str) -> None:
        """Take an interface out of its link and plug it in elsewhere, as who moves a cable or roams.

        It keeps its name, index and MAC address, gets an address of the network that it is in then, and all nodes get
        the routes that follow. The other addresses stay. The interface at the other end of its old link goes, and the
        switch or node that it is plugged into gets one. What a test has changed of the interface, its addresses and
        routes, is lost with it.

        :param interface: its name, such as ``eth0``.
        :param to: the name of a switch, or of a host or router for a link to that.
        :raises TopologyError: there is no such interface or node, they are joined already, the switch has VLANs, or a
            partition lasts; nothing has changed then.
        :raises NetNSError: the kernel refuses it, or it is not ready in time.
        """
        self._checked_fd()
        self._replug(self.label, interface, to)

    def _ask_sysctl(self, verb: bytes, *arguments: str) -> str:
        if verb == WRITE_SYSCTL and arguments[0] not in self._sysctls_before:
            with contextlib.suppress(NetNSError):  # one that can only be written holds nothing
                self._sysctls_before[arguments[0]] = super()._ask_sysctl(READ_SYSCTL, arguments[0]).rstrip("\n")
        return super()._ask_sysctl(verb, *arguments)

    def _restore_sysctls(self) -> None:
        """Write what the sysctls held before the test wrote them, the last that it came to first."""
        while self._sysctls_before:
            path, value = self._sysctls_before.popitem()
            try:
                super()._ask_sysctl(WRITE_SYSCTL, path, value)
            except NetNSOSError as error:
                if error.errno != errno.ENOENT:  # it has gone with a link of the test
                    raise

    def _restore_firewall(self, sock: socket.socket, deadline: float) -> None:
        """Make the firewall as it was when the network was ready: there was none.

        :param sock: a netlink socket of the firewall there.
        """
        netfilter.clear(sock, deadline, self)

    def _first(self, version: int) -> str:
        for port in self._planned.ports:
            for one in port.addresses:
                if one.version == version:
                    return str(one.ip)
        raise ValueError(f"{self.kind} {self.label!r} has no address of IPv{version}")

    def route_to(self, address: str) -> list[str]:
        """Follow the routes to an address, as the hosts of the network have them now; no packet is sent.

        :param address: an address, or the name of a host.
        :return: the names of the hosts on the way, the last of which has the address; empty if this one has it.
        :raises NetNSOSError: the way ends before, which the text explains; its errno is that of the kernel, or
            ``EHOSTUNREACH``.
        """
        steps = list(follow(self, self._address_of(address)))
        if steps[-1].way.is_local:
            return [step.host.label for step in steps[1:]]
        number = steps[-1].way.number or errno.EHOSTUNREACH
        raise NetNSOSError(number, f"{self}: the way to {address} {describe(steps)}")

    def wait_route(self, address: str, hops: Sequence[str] | None = None, timeout: float = ROUTE_TIMEOUT) -> list[str]:
        """Wait until the routes of the network lead to an address, for example those that a routing daemon sets.

        It blocks the thread that calls it: in a coroutine, ``await asyncio.to_thread(host.wait_route, address)``.

        :param address: an address, or the name of a host.
        :param hops: the names of the hosts over which they are to lead, as of :meth:`route_to`; by default any.
        :param timeout: how long it may take, in seconds.
        :return: the names of these hosts.
        :raises NetNSTimeoutError: there is no such route in time; the text has those that were there instead.
        """
        return wait(self, address, self._address_of(address), hops, timeout)

    def _is_beside(self, other: Host) -> bool:
        """Whether another host is of the same network."""
        return other.label in self._plan.nodes and self._find(other.label) is other

    def _address_of(self, name: str) -> str:
        if name not in self._plan.nodes:
            return name
        addresses = self._plan.names(self._plan.view_of(self.label)).get(name)
        if not addresses:
            text = f"{self}: {name!r} has no address that is not one of others here too; it is behind a NAT"
            raise NetNSOSError(errno.EHOSTUNREACH, text)
        return next((one for one in addresses if ":" not in one), addresses[0])

    def _owner_of(self, address: str) -> Host | None:
        name = self._plan.owner(address, self._planned)
        return None if name is None else self._find(name)

    def _explain(self, address: str) -> list[str]:
        steps = list(follow(self, address))
        if len(steps) == 1 or (len(steps) == 2 and steps[1].way.is_local):
            return []  # what is known here says it all
        names = " -> ".join(step.host.label for step in steps)
        return [f"by the routes: {names}" + ("" if steps[-1].way.is_local else f"; there, {end_of(steps)}")]

    def crash(self) -> None:
        """Let it fail as by a power cut: its processes are killed, and its links stay up and silent.

        Sockets of the test that live in it reach nobody any more, and nobody is told.

        :raises NetNSError: a process does not end, or the kernel refuses it.
        """
        self._checked_fd()
        self._processes.kill()
        deadline = syscalls.monotonic() + READY_TIMEOUT
        with contextlib.closing(Channel(self)) as channel:
            # Who has no address neither answers nor asks, and who has no route forwards nothing.
            for get, delete, index_of in (
                (rtnetlink.RTM_GETADDR, rtnetlink.RTM_DELADDR, rtnetlink.index_of_address),
                (rtnetlink.RTM_GETROUTE, rtnetlink.RTM_DELROUTE, rtnetlink.index_of_route),
            ):
                there = [body for body in channel.dump(get, deadline) if index_of(body) not in (None, LOOPBACK)]
                channel.send([requests.Request(delete, body, "the host silent", 0) for body in there], deadline, GONE)
