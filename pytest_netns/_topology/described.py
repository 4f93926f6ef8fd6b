"""The description of a network: by a text, step by step, or both; and its pictures."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, TypedDict

from .._errors import is_meant
from .._linux.sockets import Socket
from . import model
from .errors import TopologyError
from .model import Network
from .planning.planner import make_plan
from .text.lans import Lans, from_lans
from .text.reading import Description, to_text
from .text.settings import words_of

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from .plan import Plan

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


class NodeSettings(TypedDict, total=False):
    """What is said about a node."""

    mtu: int
    ipv6: bool
    routes: bool
    sysctl: Mapping[str, str | int]


NatKind: TypeAlias = Literal["full-cone", "restricted", "port-restricted", "symmetric", "cgnat", "none"]


class NatSettings(NodeSettings, total=False):
    """What is said about a NAT."""

    kind: NatKind
    outside: str


class LinkSettings(TypedDict, total=False):
    """What is said about a link."""

    mtu: int
    access: int
    trunk: Iterable[int]


class Described:
    """A network that is described, and perhaps made.

    :param text: describes it.
    """

    def __init__(self, text: str | None = None) -> None:
        self._description = Description()
        self._known: Network | None = None
        self._plan: Plan | None = None
        self._is_final = False
        """Whether nothing can be added any more."""
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
        if self._is_final:
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

    def nat(self, name: str, *addresses: str, **settings: Unpack[NatSettings]) -> str:
        """Add a NAT, which forwards and translates; with the arguments of :meth:`host`.

        :param settings: also ``kind``, such as ``"symmetric"``, by default ``"port-restricted"``; and ``outside``, the
            name of the interface that is outside, by default its last.
        """
        return self._node(name, model.NAT, addresses, settings)

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

    # Pictures

    def __str__(self) -> str:
        """Return a drawing of it as text, with kinds, interfaces and addresses."""
        from .drawing.as_text import draw

        return draw(self._planned())

    def svg(self) -> str:
        """Return a drawing of it as SVG, which adapts to light and dark.

        :raises TopologyError: what is described cannot be.
        """
        from .drawing.svg import svg

        return svg(self._planned())

    def dot(self) -> str:
        """Return it in the language of Graphviz.

        :raises TopologyError: what is described cannot be.
        """
        from .drawing.graphs import dot

        return dot(self._planned())

    def mermaid(self) -> str:
        """Return it in the language of Mermaid.

        :raises TopologyError: what is described cannot be.
        """
        from .drawing.graphs import mermaid

        return mermaid(self._planned())


def has_ipv6() -> bool:
    """Whether the kernel has IPv6, which it may have as a module that the first socket loads, or not at all."""
    try:
        Socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
    except OSError as error:
        if error.errno != errno.EAFNOSUPPORT:
            raise
        return False
    return True
