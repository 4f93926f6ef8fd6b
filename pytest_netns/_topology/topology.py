"""A network, as tests have it: made at once, ready, and closed as one."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

from .._errors import NetNSClosedError, is_meant
from .._netns import nftables
from .._netns.options import Options
from .._netns.together import Together
from . import model
from .breaking.breakable import Breakable
from .host import Host
from .making.build import Builder, sysctls_of
from .naming.views import Views
from .translating.nat import Nat

if TYPE_CHECKING:
    from typing_extensions import Self

    from .._netns.namespace import NetNS
    from .naming.dns import DNSServer
    from .plan import Plan

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

READY_TIMEOUT = 10.0  # seconds for a network to be ready, or as long as a child may take for one step, if that is more,
READY_TIMEOUT_OF_A_LINK = 0.05  # and this for each link of it

MakeHost: TypeAlias = "Callable[[type[Host], Options, Callable[[NetNS], object]], Host]"
"""What makes the namespace of a node by its class, its options and what gets it to close it: ``Session.make``."""


class Topology(Breakable):
    """A network of hosts, routers, switches and NATs.

    The fixtures ``netns_topology`` and ``netns_topology_factory`` make it. It is described by a text, by the methods
    that add to it, or by both; it is made when it is first used, as by ``net["client"]``, and closed with its fixture.

    :param text: describes it; see the reference.
    :raises TopologyError: the text has an error, which it shows.
    """

    __module__ = "pytest_netns"

    def __init__(self, text: str | None = None) -> None:
        super().__init__(text)
        self._make: MakeHost | None = None
        self._is_ready = self._is_closed = False
        self._spaces = Together()
        self._views = Views()

    def __getitem__(self, name: str) -> Host:
        self.wait_ready()
        if name not in self._hosts:
            raise KeyError(f"there is no {name!r} in the network, which has {', '.join(self._hosts)}")
        return self._hosts[name]

    def _own(self, make: MakeHost) -> None:
        """Take what makes its namespaces.

        :raises TypeError: it is that of another fixture.
        """
        if self._make is not None:
            raise TypeError("this network is made already; give the factory a text, or a Topology of its own")
        self._make = make

    def wait_ready(self) -> None:
        """Make what is described, if it is not made yet, and wait until every link, address and route is ready.

        :raises TopologyError: what is described cannot be.
        :raises NetNSError: it cannot be made, or is not ready in time; nothing of it is left then.
        """
        if self._is_ready:
            return
        if self._is_closed:
            raise NetNSClosedError(errno.EBADF, "the network is closed; it ends with the fixture that made it")
        if self._make is None:
            raise TypeError(
                "this network is only described: let the test ask for netns_topology, or give it to "
                "netns_topology_factory"
            )
        plan = self._planned()
        if any(planned.kind == model.NAT for planned in plan.nodes.values()):
            nftables.program()
        self._is_final = True
        try:
            self._build(plan, self._make)
        except BaseException:
            self.close()
            raise
        self._is_ready = True

    def _build(self, plan: Plan, make: MakeHost) -> None:
        for name, planned in plan.nodes.items():
            options = Options(label=name, sysctl=sysctls_of(planned, has_ipv6=plan.has_ipv6))
            kind = Nat if planned.kind == model.NAT else Host
            host = self._hosts[name] = make(kind, options, self._spaces.add)
            host._join(plan, self._hosts.__getitem__)
            host._replug_by(self._replug)
        self._kept = Builder(plan, self._hosts, timeout=self._ready_timeout()).build()
        for name, host in self._hosts.items():
            host._built = self._kept[name]
        self._views.update(plan, self._hosts.__getitem__)

    def _ready_timeout(self) -> float:
        patience = max([READY_TIMEOUT, *(host.child_timeout for host in self._hosts.values())])
        return patience + READY_TIMEOUT_OF_A_LINK * len(self._network().links)

    def _be(self, after: Plan, *, with_routes: bool = True) -> None:
        super()._be(after, with_routes=with_routes)
        self._views.update(after, self._hosts.__getitem__)

    def dns(self, name: str) -> DNSServer:
        """Start a DNS server in a host, which commands in all hosts ask for names that are not those of hosts.

        :param name: the host.
        :return: the server, which the test tells what to answer; it is closed with the network.
        :raises NetNSUnsupportedError: dnspython is not installed.
        """
        from .naming.dns import DNSServer

        server = DNSServer(self[name])
        self._views.use_servers(server.addresses)
        return server

    def close(self) -> None:
        """Close its hosts, the last that was made first.

        :raises NetNSError: something could not be undone; the rest was.
        """
        self._is_closed, self._is_ready, self._is_final = True, False, True
        self._spaces.close()

    def __enter__(self) -> Self:
        self.wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class MakeTopology(Protocol):
    """What ``netns_topology_factory`` is: it makes a network."""

    def __call__(self, topology: str | Topology) -> Topology:
        """Make a network.

        :param topology: its text, or a description.
        :return: the network, made and ready, owned by the caller; it is closed with the session if it is open then.
        :raises TopologyError: it cannot be.
        :raises NetNSError: it cannot be made.
        """


MakeTopology.__module__ = "pytest_netns"
