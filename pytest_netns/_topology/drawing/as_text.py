"""A network as text."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from itertools import zip_longest

from ..plan import Plan, Port
from .captions import kind_of, settings_of
from .outline import Item, outline

WIDTH = 100
"""Columns of a text, at most, as far as names allow."""
GAP = "  "


@dataclasses.dataclass
class Row:
    """A line of the text: what leads to an interface, its addresses, and a remark."""

    lead: str
    rest: str
    """What leads to further lines of the same row."""
    port: Port | None = None
    remark: str = ""
    nodes: int = 0
    """How many nodes it shows that no row before does."""

    def families(self) -> tuple[list[str], list[str]]:
        """Return the addresses of each family."""
        found: tuple[list[str], list[str]] = ([], [])
        for address in self.port.addresses if self.port else ():
            found[address.version == 6].append(str(address))
        return found


def draw(plan: Plan, limit: int | None = None) -> str:
    """Return a network as text: nodes with their kinds, links with the interfaces at both ends and their addresses.

    :param limit: how many rows there may be; the last line tells of the rest.
    """
    parts = [list(rows_of(item)) for item in outline(plan)]
    shown, left = [], limit
    for rows in parts:
        shown.append(rows[:left])
        left = None if left is None else left - len(shown[-1])
    flat = list(itertools.chain(*shown))
    table, is_whole = Table(flat), len(flat) == sum(map(len, parts))
    drawn = "\n\n".join("\n".join(line for row in rows for line in table.lines(row)) for rows in shown if rows)
    if is_whole:
        return drawn
    nodes = len(plan.nodes) - sum(row.nodes for row in flat)
    return f"{drawn}\n... and the rest, with {nodes} of its {len(plan.nodes)} nodes"


class Table:
    """Rows whose addresses stand below each other."""

    def __init__(self, rows: list[Row]) -> None:
        filled = [row for row in rows if row.port]
        self._lead = max((len(row.lead) for row in filled), default=0)
        self._widths = [
            max((len(one) for row in filled for one in row.families()[family]), default=0) for family in (0, 1)
        ]
        remark = max((len(row.remark) for row in filled), default=0)
        self._beside = self._lead + sum(self._widths) + remark + 3 * len(GAP) <= WIDTH
        """Whether both families have room in one line."""

    def lines(self, row: Row) -> Iterator[str]:
        """Yield the lines of a row."""
        if row.port is None:
            yield row.lead
            return
        lead, remark = row.lead, row.remark
        for cells in self._cells(*row.families()):
            padded = [lead.ljust(self._lead), *(cell.ljust(width) for cell, width in cells if width), remark]
            yield GAP.join(padded).rstrip()
            lead, remark = row.rest, ""

    def _cells(self, v4: list[str], v6: list[str]) -> list[list[tuple[str, int]]]:
        """Return for each line its cells and their widths."""
        if not self._beside:
            return [[(one, max(self._widths))] for one in [*v4, *v6] or [""]]
        pairs = list(zip_longest(v4, v6, fillvalue="")) or [("", "")]
        return [list(zip(pair, self._widths, strict=True)) for pair in pairs]


def rows_of(root: Item) -> Iterator[Row]:
    """Yield the rows of an outline."""
    left = [(root, "", "", "")]
    while left:
        item, rail, first, rest = left.pop()
        if item.up:
            yield from link_rows(first, rest, item.up.peer, item.up, item.up.name, "")
        yield Row(f"{rail}{item.planned.name}{GAP}{kind_of(item.planned)}", rail, nodes=1)
        yield from ends_of(item, rail)
        if item.trunk:
            first = "│  " if item.is_line else "├─ "
            left.append((item.trunk, rail, rail + first, f"{rail}│  "))
        left += [(branch, f"{rail}│  ", f"{rail}├─ ", f"{rail}│  ") for branch in reversed(item.branches[:-1])]


def ends_of(item: Item, rail: str) -> Iterator[Row]:
    """Yield the rows of what ends right below a node: leaves, and links to nodes further above."""
    found = [(leaf.up.peer, leaf.up, kind_of(leaf.planned)) for leaf in item.leaves if leaf.up]
    found += [(port, port.peer, "above") for port in item.closing]
    for number, (near, far, remark) in enumerate(found, 1):
        goes_on = number < len(found) or bool(item.branches)
        first, rest = ("├─ ", "│  ") if goes_on else ("└─ ", "   ")
        rows = list(link_rows(rail + first, rail + rest, near, far, f"{far.node.name}:{far.name}", remark))
        rows[-1].nodes = int(number <= len(item.leaves))
        yield from rows


def link_rows(first: str, rest: str, near: Port, far: Port, name: str, remark: str) -> Iterator[Row]:
    """Yield the rows of a link: one for each end, or one for both where the near one has no addresses, as a switch."""
    if near.addresses:
        yield Row(first + near.name, rest, near, settings_of(near))
        yield Row(rest + name, rest, far, remark)
    else:
        yield Row(f"{first}{near.name} ── {name}", rest, far, GAP.join(filter(None, [remark, settings_of(near)])))
