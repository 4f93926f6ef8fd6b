"""What breaks a network, and what makes it whole again."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..._errors import is_meant
from ..._netns.together import ask_to_end
from ..described import Described
from ..errors import TopologyError
from .groups import checked
from .partition import Partitions
from .replug import Rewiring, replugged
from .reset import Resetter

if TYPE_CHECKING:
    from ..host import Host
    from ..plan import Plan
    from .state import State

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


class Breakable(Described, ABC):
    """A network that is made."""

    def __init__(self, text: str | None = None) -> None:
        super().__init__(text)
        self._hosts: dict[str, Host] = {}
        self._kept: dict[str, State] = {}
        """What each namespace had when all was ready."""
        self._original: Plan | None = None
        """What it was before something was replugged."""
        self._made_partitions: Partitions | None = None

    @abstractmethod
    def wait_ready(self) -> None:
        """Make it, if it is not made yet."""

    @abstractmethod
    def _ready_timeout(self) -> float:
        """Return how long it may take until all of it is ready, in seconds."""

    def partition(self, *groups: Iterable[str]) -> None:
        """Let no packet pass any more between nodes of different groups; nobody is told, and no link goes down.

        A node that is in no group still reaches all. Calls add up until :meth:`heal` or :meth:`reset`. What is cut: all
        frames on a link between two groups; on a switch, frames with the MAC address of one group for the other;
        through routers, packets from an address of one group to an address of the other. Addresses are those that the
        nodes have at this moment.

        :param groups: two or more sets of names of nodes, as ``net.partition({"a", "r1"}, {"b"})``.
        :raises TopologyError: a name is no node or is in two groups, or some packets could not be told from others.
        :raises NetNSError: the kernel refuses a filter; nothing is cut then.
        """
        self.wait_ready()
        self._partitions.add(checked(self._planned(), groups), self._ready_timeout())

    def heal(self) -> None:
        """Let packets pass again: end every partition; without one, nothing happens.

        :raises NetNSError: the kernel refuses it.
        """
        self.wait_ready()
        self._partitions.heal(self._ready_timeout())

    def _replug(self, name: str, interface: str, to: str) -> None:
        """Do what :meth:`Host.replug` says."""
        if self._partitions.last:
            raise TopologyError(
                "a partition lasts, which would not hold for the new link", hint="call net.heal() first"
            )
        plan = self._planned()
        after = replugged(plan, name, interface, to)
        self._original = self._original or plan
        self._be(after)

    def _be(self, after: Plan, *, with_routes: bool = True) -> None:
        """Make the network another one, with the same nodes."""
        before, self._plan, self._known = self._planned(), after, after.network
        for host in self._hosts.values():
            host._be_as_in(after)
        Rewiring(before, after, self._hosts, self._ready_timeout()).make(with_routes=with_routes)
        if after is self._original:
            self._original = None

    @property
    def _partitions(self) -> Partitions:
        if self._made_partitions is None:
            self._made_partitions = Partitions(self._planned, self._hosts)
        return self._made_partitions

    def reset(self) -> None:
        """Make the network as it was when it was ready, in less time than to make another.

        It ends the processes in its hosts and closes their sockets and objects of pyroute2, as ``close()`` does. Then
        it undoes what has changed: links, addresses, routes, rules, neighbours, the tables that switches have learned,
        qdiscs, the tables of nftables, tracked connections, and the sysctls that were written through ``host.sysctl``
        or belong to one interface. Hosts and interfaces stay the same objects.

        :raises NetNSError: something cannot be as it was, such as a link that was deleted, or a thread is still inside;
            the text names it. Close the network then, and make it anew.
        """
        self.wait_ready()
        with contextlib.ExitStack() as stack:
            for host in self._hosts.values():
                stack.callback(host._empty)
            ask_to_end(self._hosts.values())
        if self._original is not None:
            self._be(self._original, with_routes=False)
        Resetter(self._planned(), self._hosts, self._kept, self._ready_timeout()).reset()
        self._partitions.forget()
