"""A network as text: what ``parse`` reads as the same network."""

from __future__ import annotations

import dataclasses
from itertools import groupby

from ..model import ROUTER, End, Link, Network, Node
from .settings import quoted

MAX_GROUP = 80
"""Characters of a group, about; further names are in another line."""


def to_text(network: Network) -> str:
    """Return the text form of a network.

    :return: what ``parse`` reads as an equal network, with the same order of nodes and links.
    """
    lines = compose(network)
    shown = network.between.difference(*(line.stands_between() for line in lines))
    nodes = node_statements(network, shown)
    links = [line.text() for line in lines]
    described = [name for names, _ in nodes for name in names]
    linked = [end.node for line in lines for ends in line.stages for end in ends]
    mentioned = {*described, *linked}
    lonely = [name for name in network.nodes if name not in mentioned]
    about = [", ".join(names) + f" [{settings}]" for names, settings in nodes] + [", ".join(lonely)] * bool(lonely)
    order = list(network.nodes)
    if list(dict.fromkeys([*described, *lonely, *linked])) == order:
        return "\n".join([*about, *links])
    if list(dict.fromkeys([*linked, *described, *lonely])) == order:
        return "\n".join([*links, *about])
    return "\n".join([", ".join(order), *(about[: len(nodes)]), *links])


# Nodes


def node_statements(network: Network, shown: set[str]) -> list[tuple[list[str], str]]:
    """Return names and settings, for those that have any.

    :param shown: who is a router because of where it stood, which no line of links says.
    """
    described = (
        (node.name, node_settings(node, ROUTER if node.name in shown else None)) for node in network.nodes.values()
    )
    told = [(name, settings) for name, settings in described if settings]
    return [([name for name, _ in some], settings) for settings, some in groupby(told, key=lambda one: one[1])]


def node_settings(node: Node, kind: str | None) -> str:
    settings = [
        node.kind or kind,
        f"kind={node.nat}" if node.nat else "",
        f"outside={node.outside}" if node.outside else "",
        f"mtu={node.mtu}" if node.mtu else "",
        "" if node.ipv6 else "ipv6=off",
        "" if node.routes else "routes=off",
        *map(str, node.addresses),
        *(f"{key}={quoted(value.removesuffix(chr(10)))}" for key, value in node.sysctl.items()),
    ]
    return " ".join(filter(None, settings))


# Links


@dataclasses.dataclass
class Line:
    """A line of links: groups of ends, and the settings between each two."""

    stages: list[list[End]]
    settings: list[str]

    def names(self, stage: int) -> set[str]:
        return {end.node for end in self.stages[stage]}

    def stands_between(self) -> set[str]:
        """Return who is a router by this line, if nothing else is said."""
        closing = self.names(0) & self.names(-1)
        return closing.union(*(self.names(stage) for stage in range(1, len(self.stages) - 1)))

    def text(self) -> str:
        shared = self.settings[0] if len(set(self.settings)) == 1 else ""
        words = [in_braces(self.stages[0])]
        for settings, ends in zip(self.settings, self.stages[1:], strict=True):
            words += [f"-- [{settings}]" if settings and not shared else "", "--", in_braces(ends)]
        return " ".join(filter(None, [*words, f"[{shared}]" if shared else ""]))


def in_braces(ends: list[End]) -> str:
    names = [end.node if end.interface is None else f"{end.node}:{end.interface}" for end in ends]
    return names[0] if len(names) == 1 else "{" + " ".join(names) + "}"


def link_settings(link: Link) -> str:
    settings = [
        *map(str, link.networks),
        f"mtu={link.mtu}" if link.mtu else "",
        f"access={link.access}" if link.access else "",
        f"trunk={','.join(map(str, link.trunk))}" if link.trunk else "",
    ]
    return " ".join(filter(None, settings))


def compose(network: Network) -> list[Line]:
    """Return lines of links, as long as the network allows, with the links in its order."""
    links = Links(network)
    lines: list[Line] = []
    while links.left():
        lefts, rights, settings = links.block(None)
        line = Line([lefts, rights], [settings])
        while links.left() and links.may_go_on(line):
            after = links.index
            _, rights, settings = links.block(line.stages[-1])
            closing = line.names(0).intersection(end.node for end in rights)
            if not rights or not links.may_stand_between(closing):
                links.index = after
                break
            line.stages.append(rights)
            line.settings.append(settings)
        lines.append(line)
    return lines


class Links:
    """The links of a network, taken one block after the other."""

    def __init__(self, network: Network) -> None:
        self.index = 0
        self._links = network.links
        self._settings = [link_settings(link) for link in network.links]
        kinds = (node.name for node in network.nodes.values() if node.kind is not None)
        self._between = {*network.between, *kinds}
        """Who may stand between two links of a line: a kind that was given prevails."""

    def left(self) -> bool:
        return self.index < len(self._links)

    def may_stand_between(self, names: set[str]) -> bool:
        return names <= self._between

    def may_go_on(self, line: Line) -> bool:
        """Whether another block may follow the last ends of a line."""
        last = line.stages[-1]
        return self.may_stand_between(line.names(-1)) and all(end.interface is None for end in last)

    def block(self, lefts: list[End] | None) -> tuple[list[End], list[End], str]:
        """Take as many links as one ``--`` can mean.

        :param lefts: the ends at its left side, or ``None`` if these are free.
        :return: the ends at the left side, those at the right side, none if there is no such block, and the settings.
        """
        start = self.index
        first = self._links[start]
        if lefts is not None and first.left != lefts[0]:
            return lefts, [], ""
        rights = self._run(start)
        taken = [first.left]
        self.index = start + len(rights)
        while (lefts is None or len(taken) < len(lefts)) and self._repeats(start, rights, taken, lefts):
            taken.append(self._links[self.index].left)
            self.index += len(rights)
        if lefts is not None and len(taken) < len(lefts):
            return lefts, [], ""
        return taken, rights, self._settings[start]

    def _run(self, start: int) -> list[End]:
        """Return the right ends of links from the same left end."""
        first = self._links[start]
        rights = [first.right]
        size = len(first.right.node)
        for index in range(start + 1, len(self._links)):
            link = self._links[index]
            size += len(link.right.node) + 1
            follows = index + 1 < len(self._links) and self._links[index + 1].left == link.right
            if (
                link.left != first.left
                or link.right in rights
                or self._settings[index] != self._settings[start]
                or size > MAX_GROUP
                or (follows and link.right.node in self._between)
            ):
                break
            rights.append(link.right)
        return rights

    def _repeats(self, start: int, rights: list[End], taken: list[End], lefts: list[End] | None) -> bool:
        """Whether the next links lead from another left end to the same right ends."""
        some = self._links[self.index : self.index + len(rights)]
        if [link.right for link in some] != rights:
            return False
        left = some[0].left
        if left in taken or (lefts is not None and left != lefts[len(taken)]):
            return False
        if lefts is None and sum(len(end.node) + 1 for end in taken) + len(left.node) > MAX_GROUP:
            return False
        settings = self._settings[start]
        return all(link.left == left for link in some) and set(
            self._settings[self.index : self.index + len(rights)]
        ) == {settings}
