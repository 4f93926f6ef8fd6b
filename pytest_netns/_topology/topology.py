"""A network, as tests have it: described by a text or step by step, made at once, and closed as one."""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypedDict

from .._errors import NetNSClosedError, is_meant
from .._linux.sockets import Socket
from .._netns.factory import Options
from . import model
from .breakable import Breakable
from .build import Builder, sysctls_of
from .errors import TopologyError
from .host import Host
from .lans import Lans, from_lans
from .model import Network
from .planner import make_plan
from .settings import words_of
from .text import Description, to_text

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from .plan import Plan

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

READY_TIMEOUT = 10.0  # seconds for a network to be ready, and
READY_TIMEOUT_OF_A_LINK = 0.05  # for each link of it


MakeHost: TypeAlias = "Callable[[Options, Callable[[Callable[[], object]], object]], Host]"
"""What makes the namespace of a node, by its options and what is told how to close it; see ``Session.make``."""


class NodeSettings(TypedDict, total=False):
    """What is said about a node."""

    mtu: int
    ipv6: bool
    routes: bool
    sysctl: Mapping[str, str | int]


class LinkSettings(TypedDict, total=False):
    """What is said about a link."""

    mtu: int
    access: int
    trunk: Iterable[int]


class Topology(Breakable):
    """A network of hosts, routers, switches and NATs.

    The fixtures ``netns_topology`` and ``netns_topology_factory`` make it. It is described by a text, by the methods
    that add to it, or by both; it is made when it is first used, as by ``net["client"]``, and closed with its fixture.

    :param text: describes it; see the reference.
    :raises TopologyError: the text has an error, which it shows.
    """

    __module__ = "pytest_netns"

    def __init__(self, text: str | None = None) -> None:
        self._description = Description()
        super().__init__()
        self._make: MakeHost | None = None
        self._is_ready = self._is_closed = False
        self._undo = contextlib.ExitStack()
        if text is not None:
            self.add(text)

    @classmethod
    def from_lans(cls, lans: Lans) -> Self:
        """Describe a network by a dict of LANs, as the ``topodef`` of FRRouting's topotests.

        :param lans: for the name of each switch, the names of the routers at it.
        :raises TopologyError: a name cannot be.
        :raises TypeError: it is no such dict.
        """
        made = cls()
        made.add(to_text(from_lans(lans)))
        return made

    # What it is made of

    def add(self, text: str) -> None:
        """Add lines in the text form.

        :raises TopologyError: they have an error, which it shows, or the network is made already.
        """
        if self._hosts or self._is_closed:
            raise TopologyError(
                "the network is made already", hint="describe all of it before the first use, such as net['client']"
            )
        self._description.add(text)
        self._known = self._plan = None

    def host(self, name: str, *addresses: str, **settings: Unpack[NodeSettings]) -> str:
        """Add a host, or say more about one.

        :param addresses: those that it has; by default the next free ones of its networks.
        :param settings: ``mtu`` (bytes), ``ipv6=False``, ``routes=False``, ``sysctl={"net...": 1}``.
        :return: its name.
        :raises TopologyError: as of :meth:`add`.
        """
        return self._node(name, model.HOST, addresses, settings)

    def router(self, name: str, *addresses: str, **settings: Unpack[NodeSettings]) -> str:
        """Add a router, which forwards; with the arguments of :meth:`host`."""
        return self._node(name, model.ROUTER, addresses, settings)

    def switch(self, name: str) -> str:
        """Add a switch.

        :return: its name.
        :raises TopologyError: as of :meth:`add`.
        """
        return self._node(name, model.SWITCH, (), {})

    def link(self, left: str, right: str, *networks: str, **settings: Unpack[LinkSettings]) -> None:
        """Add a link between two nodes; those that are not known yet become hosts.

        :param left: a name, or ``name:interface``; ``right`` too.
        :param networks: at most one of each family; by default the next free ones.
        :param settings: ``mtu`` (bytes); at a switch ``access`` (a VLAN), between switches ``trunk`` (VLANs).
        :raises TopologyError: as of :meth:`add`.
        """
        self._links([left, right], networks, settings)

    def line(self, *names: str) -> None:
        """Add links from each node to the next; those between two become routers, if nothing else is said.

        :raises TopologyError: as of :meth:`add`.
        """
        self._links(names, (), {})

    def ring(self, *names: str) -> None:
        """Add links from each node to the next and from the last to the first, as of :meth:`line`."""
        self._links([*names, *names[:1]], (), {})

    def lan(self, name: str, *nodes: str, networks: Iterable[str] = ()) -> str:
        """Add a switch with nodes at it.

        :param name: that of the switch.
        :param networks: at most one of each family; by default the next free ones.
        :return: the name of the switch.
        :raises TopologyError: as of :meth:`add`.
        """
        self.switch(name)
        self._links([name, "{" + " ".join(nodes) + "}"] if nodes else [name], networks, {})
        return name

    def _node(self, name: str, kind: str, addresses: Iterable[str], settings: Mapping[str, Any]) -> str:
        self.add(f"{name} [{' '.join([kind, *addresses, *words_of(settings)])}]")
        return name

    def _links(self, names: Sequence[str], networks: Iterable[str], settings: Mapping[str, Any]) -> None:
        given = " ".join([*networks, *words_of(settings)])
        self.add(" -- ".join(names) + (f" [{given}]" if given else ""))

    def _network(self) -> Network:
        if self._known is None:
            self._known = self._description.network()
        return self._known

    # What it is

    @property
    def text(self) -> str:
        """Its text: ``Topology(net.text)`` is the same network."""
        return to_text(self._network())

    def __getitem__(self, name: str) -> Host:
        self.wait_ready()
        if name not in self._hosts:
            raise KeyError(f"there is no {name!r} in the network, which has {', '.join(self._hosts)}")
        return self._hosts[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._description.nodes)

    def __contains__(self, name: object) -> bool:
        return name in self._description.nodes

    def __len__(self) -> int:
        return len(self._description.nodes)

    def _planned(self) -> Plan:
        if self._plan is None:
            self._plan = make_plan(self._network(), has_ipv6=has_ipv6())
        return self._plan

    # Its life

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
        try:
            self._build(plan, self._make)
        except BaseException:
            self.close()
            raise
        self._is_ready = True

    def _build(self, plan: Plan, make: MakeHost) -> None:
        for name, planned in plan.nodes.items():
            options = Options(label=name, sysctl=sysctls_of(planned, has_ipv6=plan.has_ipv6))
            host = self._hosts[name] = make(options, self._undo.callback)
            host._join(plan, self._hosts.__getitem__)
            host._replug_by(self._replug)
        self._kept = Builder(plan, self._hosts, timeout=self._ready_timeout()).build(look_at_it=self._can_be_reset)

    def _ready_timeout(self) -> float:
        return READY_TIMEOUT + READY_TIMEOUT_OF_A_LINK * len(self._network().links)

    def close(self) -> None:
        """Close its hosts, the last that was made first.

        :raises NetNSError: something could not be undone; the rest was.
        """
        self._is_closed, self._is_ready = True, False
        self._undo.close()

    def __enter__(self) -> Self:
        self.wait_ready()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def has_ipv6() -> bool:
    """Whether the kernel has IPv6, which it may have as a module that the first socket loads, or not at all."""
    try:
        Socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
    except OSError as error:
        if error.errno != errno.EAFNOSUPPORT:
            raise
        return False
    return True


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
