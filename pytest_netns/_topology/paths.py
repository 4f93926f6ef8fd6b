"""The way of a packet through a network, by the routes that its hosts have now."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from .._netns import way

if TYPE_CHECKING:
    from .host import Host


class Step(NamedTuple):
    """A host on the way, and what its routes say there."""

    host: Host
    way: way.Way


def follow(host: Host, address: str) -> Iterator[Step]:
    """Yield each host on the way to an address, from the first one to where the way ends.

    :param address: as text.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    target = (address, 0, 0, 0) if family == socket.AF_INET6 else (address, 0)
    seen: set[str] = set()
    following: Host | None = host
    while following is not None and following.label not in seen:
        seen.add(following.label)
        found = way.find(following, family, target)
        yield Step(following, found)
        following = None if found.number or found.is_local else host._owner_of(found.next_hop)


def end_of(steps: list[Step]) -> str:
    """Say why a way ends where it does, and not at its goal."""
    last = steps[-1]
    if last.way.number:
        return str(last.way)
    owner = last.host._owner_of(last.way.next_hop)
    if owner is None:
        return f"{last.way}, and no host of the network has the address {last.way.next_hop}"
    return f"{last.way}, which is back to {owner.label}"
