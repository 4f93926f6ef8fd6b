"""What breaks a network, and what makes it whole again."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from .._errors import is_meant
from .reset import Resetter

if TYPE_CHECKING:
    from .host import Host
    from .plan import Plan
    from .state import State

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


class Breakable(ABC):
    """A network that is made."""

    def __init__(self) -> None:
        self._hosts: dict[str, Host] = {}
        self._kept: dict[str, State] = {}
        """What each namespace had when all was ready."""

    @abstractmethod
    def wait_ready(self) -> None:
        """Make it, if it is not made yet."""

    @abstractmethod
    def _planned(self) -> Plan:
        """Return it, worked out."""

    @abstractmethod
    def _ready_timeout(self) -> float:
        """Return how long it may take until all of it is ready, in seconds."""

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
        Resetter(self._planned(), self._hosts, self._kept, self._ready_timeout()).reset()
