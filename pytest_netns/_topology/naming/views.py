"""Which hosts find which names: all find all, but for addresses that two have, in networks that overlap."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ..._netns.names import Names

if TYPE_CHECKING:
    from ..host import Host
    from ..plan import Plan


class Views:
    """The host names of a network, one object for the hosts that mean the same by each."""

    def __init__(self) -> None:
        self._all: list[Names] = []
        self._servers: tuple[str, ...] = ()

    def update(self, plan: Plan, find: Callable[[str], Host]) -> None:
        """Have hosts find what a network is now, also in commands that run already."""
        found: dict[frozenset[tuple[int, int]], Names] = {}
        for name in plan.nodes:
            host, view = find(name), plan.view_of(name)
            if view not in found:
                found[view] = self._one_of(host, found.values())
                found[view].update(plan.names(view))
            if host._names is not found[view]:
                host._set_names(found[view])
        self._all = list(found.values())

    def _one_of(self, host: Host, taken: Iterable[Names]) -> Names:
        """Return the names that a host has already, unless they are those of others now."""
        if host._names is not None and not any(host._names is one for one in taken):
            return host._names
        names = Names({})
        names.use_servers(self._servers)
        return names

    def use_servers(self, servers: tuple[str, ...]) -> None:
        """Have commands ask these name servers for what they do not find."""
        self._servers = servers
        for names in self._all:
            names.use_servers(servers)


def tell(plan: Plan, find: Callable[[str], Host]) -> None:
    """Have hosts find the addresses that a network has now, where nobody means another host by a name."""
    told: list[Names] = []
    for name in plan.nodes:
        names = find(name)._names
        if names is not None and not any(names is one for one in told):
            names.update(plan.names(plan.view_of(name)))
            told.append(names)
