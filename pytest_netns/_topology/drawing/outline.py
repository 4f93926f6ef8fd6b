"""A network as an outline: each node once, below one that it has a link to. All pictures are made of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from .. import model
from ..plan import Plan, Planned, Port


@dataclasses.dataclass(eq=False)
class Item:
    """A node of the outline, and what is below it."""

    planned: Planned
    up: Port | None = None
    """Its interface to the node above."""
    leaves: list[Item] = dataclasses.field(default_factory=list)
    """Nodes with no other link, but for a single one at the end of a line."""
    closing: list[Port] = dataclasses.field(default_factory=list)
    """Its interfaces to nodes further above."""
    branches: list[Item] = dataclasses.field(default_factory=list)
    """Nodes with more below, the one with most last."""
    size: int = 1
    """How many nodes there are from here on."""

    @property
    def trunk(self) -> Item | None:
        """The branch that goes on without being indented, so that a long line stays one."""
        return self.branches[-1] if self.branches else None

    @property
    def is_line(self) -> bool:
        """Whether there is nothing below but the next node of a line."""
        return len(self.branches) == 1 and not self.leaves and not self.closing

    @property
    def is_leaf(self) -> bool:
        return not (self.leaves or self.closing or self.branches)


def outline(plan: Plan) -> list[Item]:
    """Return the outlines of a network: one for each part of it that has no link to the others."""
    items: dict[str, Item] = {}
    found = []
    for planned in plan.nodes.values():
        if planned.name not in items:
            found.append(grow(start_of(planned), items))
    return found


def start_of(planned: Planned) -> Planned:
    """Return where to start: with a node, or with the switch in the middle if it is one of those around it."""
    if len(planned.ports) == 1 and planned.ports[0].peer.node.kind == model.SWITCH:
        return planned.ports[0].peer.node
    return planned


def grow(start: Planned, items: dict[str, Item]) -> Item:
    """Make the outline from a node on.

    In depth first order, a link that is not from a node to one below leads further up, never across.
    """
    root = items[start.name] = Item(start)
    above: set[str] = set()
    way: list[tuple[Item, Iterator[Port]]] = [(root, iter(start.ports))]
    while way:
        item, ports = way[-1]
        for port in ports:
            other = port.peer.node
            if other.name in items:
                if port is not item.up and other.name in above:
                    item.closing.append(port)
                continue
            below = items[other.name] = Item(other, up=port.peer)
            above.add(item.planned.name)
            way.append((below, iter(other.ports)))
            break
        else:
            way.pop()
            settle(item)
            if way:
                parent = way[-1][0]
                above.discard(parent.planned.name)
                parent.size += item.size
                place(item, parent)
    return root


def settle(item: Item) -> None:
    """Let a line go on to its last node, rather than have a leaf there."""
    if len(item.leaves) == 1 and not item.closing and not item.branches:
        item.branches.append(item.leaves.pop())


def place(item: Item, above: Item) -> None:
    """Put a finished node below another one."""
    if item.is_leaf:
        above.leaves.append(item)
        return
    above.branches.append(item)
    if len(above.branches) > 1 and above.branches[-2].size > item.size:
        above.branches[-2:] = [item, above.branches[-2]]
