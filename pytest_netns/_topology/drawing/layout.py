"""Where the nodes, links and captions of a network stand in a picture, from top to bottom as in an outline."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from ..plan import Plan, Planned, Port
from .captions import kind_of, settings_of
from .outline import Item, outline

NAME, SMALL = 14, 12
"""Sizes of letters in pixels: of names, and of everything else."""
ADVANCE = 0.6
"""The width of each letter, by its size: all are of a font whose letters are equally wide."""
LINE = 16
"""Pixels from one line of captions to the next."""
HEIGHT = 34
"""Of the box of a node."""
MARGIN = 14
INDENT = 34
RAIL = 14
"""Pixels from the left side of a box to the line that leads down from it."""
GAP = 8
LANE = 12
CAPTION = 38
"""Letters of a line of a caption, at most, so that a picture is not wider than a phone."""

Point: TypeAlias = "tuple[float, float]"


def width_of(text: str, size: float) -> float:
    """Return the width of a text in pixels."""
    return len(text) * size * ADVANCE


@dataclasses.dataclass
class Words:
    """A text; ``y`` is its base line."""

    x: float
    y: float
    text: str
    size: int
    role: str

    @property
    def width(self) -> float:
        return width_of(self.text, self.size)


@dataclasses.dataclass
class Box:
    """A node."""

    x: float
    y: float
    width: float
    height: float
    kind: str

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def middle(self) -> float:
        return self.y + HEIGHT / 2


@dataclasses.dataclass
class Layout:
    """Everything in a picture, in pixels."""

    boxes: list[Box] = dataclasses.field(default_factory=list)
    words: list[Words] = dataclasses.field(default_factory=list)
    lines: list[list[Point]] = dataclasses.field(default_factory=list)
    width: float = 0
    height: float = 0

    def right(self) -> float:
        """Return where free space begins at the right."""
        return max([*(box.right for box in self.boxes), *(words.x + words.width for words in self.words), 0])


class Below(NamedTuple):
    """A node that is to be placed below another one."""

    item: Item
    x: float
    rail: Point
    """Where the line from the node above begins."""
    is_indented: bool


def lay_out(plan: Plan) -> Layout:
    """Return where everything of a network stands."""
    laying = Laying()
    for number, item in enumerate(outline(plan)):
        laying.down += 3 * GAP if number else 0
        laying.part(item)
    return laying.finish()


class Laying:
    """A layout that grows downwards."""

    def __init__(self) -> None:
        self.down: float = MARGIN
        """Where free space begins."""
        self._layout = Layout()
        self._docks: dict[Port, Point] = {}
        """Where links from further below end."""
        self._closings: list[tuple[Point, Port]] = []
        """Where they begin, and the interfaces at which they end."""

    def part(self, root: Item) -> None:
        """Lay out an outline."""
        expected: dict[str, list[Port]] = {}
        for item in walk(root):
            for port in item.closing:
                expected.setdefault(port.peer.node.name, []).append(port.peer)
        left = [Below(root, MARGIN, (0, 0), False)]
        while left:
            below = left.pop()
            item, x = below.item, below.x
            if item.up:
                self._captions_of_link(item.up, below)
            box = self._node(item.planned, x, expected.get(item.planned.name, []))
            if item.up:
                x_of_rail, top = below.rail
                turn = [(x_of_rail, box.middle), (x, box.middle)] if below.is_indented else [(x_of_rail, box.y)]
                self._layout.lines.append([(x_of_rail, box.middle if below.is_indented else top), *turn])
            self._ends(item, box)
            rail = (x + RAIL, box.y + box.height)
            if item.trunk:
                left.append(Below(item.trunk, x, rail, False))
            left += [Below(branch, x + INDENT, rail, True) for branch in reversed(item.branches[:-1])]

    def finish(self) -> Layout:
        """Lead the links to nodes further above around everything, and return the layout."""
        layout = self._layout
        right = layout.right()
        lanes: list[float] = []
        for (x, y), port in self._closings:  # from top to bottom
            dock_x, dock_y = self._docks[port]
            lane = next((number for number, bottom in enumerate(lanes) if bottom < dock_y), len(lanes))
            lanes[lane : lane + 1] = [y]
            there = right + LANE * (lane + 1)
            layout.lines.append([(x, y), (there, y), (there, dock_y), (dock_x, dock_y)])
        layout.width = right + LANE * len(lanes) + MARGIN
        layout.height = self.down + MARGIN
        return layout

    def _node(self, planned: Planned, x: float, docks: list[Port]) -> Box:
        """Place a box, with captions for the links that end at its right side."""
        kind = kind_of(planned)
        width = width_of(planned.name, NAME) + width_of(kind, SMALL) + 2 * RAIL + GAP
        box = Box(x, self.down, width, HEIGHT, planned.kind)
        self._layout.boxes.append(box)
        base = self.down + HEIGHT / 2 + 5
        self._layout.words.append(Words(x + RAIL, base, planned.name, NAME, "name"))
        self._layout.words.append(Words(x + RAIL + width_of(planned.name, NAME) + GAP, base, kind, SMALL, "kind"))
        for port in docks:
            self._caption(port, box.right + GAP)
            self.down += GAP / 2
            self._docks[port] = (box.right, self.down)
            self.down += GAP / 2
        box.height = max(HEIGHT, self.down - box.y)
        self.down = box.y + box.height
        return box

    def _captions_of_link(self, port: Port, below: Below) -> None:
        """Place the captions of both ends of a link above the box of the lower node."""
        self.down += GAP / 2
        self._caption(port.peer, below.rail[0] + GAP, settings_of(port))
        self.down += 3 * GAP / 2
        self._caption(port, (below.x if below.is_indented else below.rail[0] + GAP))
        self.down += GAP / 2

    def _ends(self, item: Item, above: Box) -> None:
        """Place what ends right below a node: leaves, and the beginnings of links to nodes further above."""
        rail = above.x + RAIL
        top = last = above.y + above.height
        for leaf in item.leaves:
            assert leaf.up is not None
            self.down += GAP
            self._caption(leaf.up.peer, rail + GAP, settings_of(leaf.up))
            self.down += GAP / 2
            box = self._node(leaf.planned, above.x + INDENT, [])
            last = box.middle
            self._layout.lines.append([(rail, last), (box.x, last)])
            bottom, self.down = self.down, box.y
            self._caption(leaf.up, box.right + GAP, one_each=True)
            self.down = max(self.down, bottom)
        for port in item.closing:
            self.down += GAP
            self._caption(port, rail + GAP, settings_of(port))
            self.down += GAP / 2
            last = self.down
            self._closings.append(((rail, last), port.peer))
            self.down += GAP / 2
        if last > top:
            self.down += GAP / 2
            self._layout.lines.append([(rail, top), (rail, last)])

    def _caption(self, port: Port, x: float, settings: str = "", one_each: bool = False) -> None:
        """Place the name of an interface, and beside it what else is to be said."""
        start = x + width_of(port.name + "  ", SMALL)
        column = start
        self._layout.words.append(Words(x, self.down + SMALL, port.name, SMALL, "port"))
        for text in filter(None, [*map(str, port.addresses), settings]):
            width = width_of(text, SMALL)
            if column > start and (one_each or column + width > x + CAPTION * SMALL * ADVANCE):
                self.down += LINE
                column = start
            self._layout.words.append(Words(column, self.down + SMALL, text, SMALL, "address"))
            column += width + width_of("  ", SMALL)
        self.down += LINE


def walk(root: Item) -> Iterator[Item]:
    """Yield the nodes of an outline."""
    left = [root]
    while left:
        item = left.pop()
        yield item
        left += item.branches
