"""A NAT, as tests have it: a host that translates, and that can lose or change its mappings."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..._errors import is_meant
from ..._linux import netlink, rtnetlink, syscalls
from ..errors import TopologyError
from ..host import READY_TIMEOUT, Host, Interface
from ..making import netfilter, requests
from ..making.channel import Channel
from ..naming.views import tell
from ..planning.addressing import next_free
from ..text import words
from . import nft
from .translation import rulesets

if TYPE_CHECKING:
    from ..plan import IPInterface, Plan, Port

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


class Nat(Host):
    """A NAT of a network: a router that translates addresses, and filters what comes from outside.

    ``net["gateway"]`` gives it, where the text has ``gateway [nat]``.
    """

    __module__ = "pytest_netns"

    _applied = _generation = 0

    @property
    def outside(self) -> Interface:
        """The interface that is outside; its first address is that of all that is translated."""
        return self.interfaces[self._outside_port.name]

    @property
    def _outside_port(self) -> Port:
        assert self._planned.outside is not None
        return self._planned.outside

    def _join(self, plan: Plan, find: Callable[[str], Host]) -> None:
        self._moved: dict[Port, list[IPInterface]] = {}
        """The addresses that interfaces had before it moved."""
        super()._join(plan, find)
        self.forget()

    def _apply(self) -> None:
        """Take the rules of its generation, with no mapping."""
        for ruleset in rulesets(self._planned, self._applied, self._generation, has_ipv6=self._plan.has_ipv6):
            nft.apply(self, ruleset)
        self._applied += 1

    def forget(self) -> None:
        """Forget all mappings and connections, as they expire when nothing is sent for long.

        What comes from outside arrives again when the inside has sent. A flow has the same port then, unless another
        host was first to take it, or the NAT is symmetric.

        :raises NetNSError: the kernel refuses it.
        """
        self._apply()
        with contextlib.closing(
            self.socket(socket.AF_NETLINK, socket.SOCK_RAW, netlink.NETLINK_NETFILTER, child_mode="resident")
        ) as sock:
            netfilter.forget_connections(sock, syscalls.monotonic() + READY_TIMEOUT, self)

    def _be_as_in(self, plan: Plan) -> None:
        super()._be_as_in(plan)
        if self._applied:  # else the network is only being made
            self.forget()

    def _restore_firewall(self, sock: socket.socket, deadline: float) -> None:
        super()._restore_firewall(sock, deadline)
        while self._moved:
            port, addresses = self._moved.popitem()
            port.addresses[:] = addresses
            self._tell_names()
        self._applied = self._generation = 0
        self._apply()

    def rebind(self, *, address: bool = False) -> None:
        """Give all flows other ports outside, as a router that starts anew; it forgets all mappings and connections.

        :param address: take the next free address of the outside network too.
        :raises TopologyError: there is no free address.
        :raises ValueError: a NAT with ``kind=none`` cannot take another address, as others have routes to it.
        :raises NetNSError: the kernel refuses it.
        """
        if address:
            self._move()
        self._generation += 1
        self.forget()

    def _move(self) -> None:
        """Take another IPv4 address outside."""
        if self._planned.translation == words.NONE:
            raise ValueError(f"{self.label!r} has kind=none: others have routes by its address, which stays")
        port = self._outside_port
        assert port.segment is not None
        had = [one for one in port.addresses if one.version == 4]
        found = next_free(port.segment, had[0])
        if found is None:
            raise TopologyError(
                f"{had[0].network} has no free address for {self.label!r}", hint="take a larger network for its link"
            )
        self._moved.setdefault(port, list(port.addresses))
        port.addresses[port.addresses.index(had[0])] = found
        self._replace(port, had)
        self._tell_names()

    def _tell_names(self) -> None:
        tell(self._plan, self._find)

    def _replace(self, port: Port, had: Sequence[IPInterface]) -> None:
        """Give an interface the IPv4 addresses that it is to have, and the routes that go with those it had."""
        # The kernel removes with an address those that it takes for secondary to it, so these go first.
        asked = [
            requests.add_address(port, one)._replace(kind=rtnetlink.RTM_DELADDR, flags=requests.CHANGE)
            for one in reversed(had)
        ]
        asked += [requests.add_address(port, one) for one in port.addresses if one.version == 4]
        asked += [
            requests.add_route(route) for route in self._planned.routes if route.port is port and route.to.version == 4
        ]
        with contextlib.closing(Channel(self)) as channel:
            channel.send(asked, syscalls.monotonic() + READY_TIMEOUT)
