"""The nodes and links that the statements of a text add up to."""

from __future__ import annotations

from itertools import pairwise, product
from typing import NamedTuple, NoReturn, TypeAlias

from ..._errors import is_meant
from .. import model
from ..errors import TopologyError
from ..model import End, Link, Network, Node, Position
from .checks import Refused
from .settings import Setting, Unknown, interpret
from .statements import Statement, Words
from .words import LINK, NODE

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


class Given(NamedTuple):
    """A setting, and where it stands."""

    setting: Setting
    at: Position
    word: str


Slots: TypeAlias = dict[str, Given]

ONLY_ONE = {
    "kind of node": "a node is of one kind",
    "VLAN": "a port is in one VLAN without tags (access=), or in several with tags (trunk=)",
    "network of IPv4": "a link has one network of each family",
    "network of IPv6": "a link has one network of each family",
}
"""What a node or a link can have once, by the slot of a setting."""

ATTRIBUTES = {"kind of node": "kind", "kind": "nat"}
"""The attributes of a node, where they are not called as the settings."""


class Gathering:
    """A network that grows by statements."""

    def __init__(self, text: str) -> None:
        self._network = Network(text=text)
        self._spelled: dict[str, str] = {}
        """The name of each node, by its lower case."""
        self._slots: dict[str, Slots] = {}
        """What is said about each node."""
        self._taken: set[tuple[str, str]] = set()
        """The nodes and the names of interfaces that links have."""
        self._known: dict[tuple[str, str], Setting] = {}
        """The words that were read before."""

    @property
    def nodes(self) -> dict[str, Node]:
        """The nodes so far, by name."""
        return self._network.nodes

    def goes_on(self, text: str) -> None:
        """Take a longer text, of which the statements that follow are a part."""
        self._network.text = text

    def add(self, statement: Statement) -> None:
        """Add a statement.

        :raises TopologyError: what it says cannot be.
        """
        if statement.links:
            self.add_links(statement)
        else:
            self.add_nodes(statement)

    def add_nodes(self, statement: Statement) -> None:
        """Add a statement about nodes.

        :raises TopologyError: its settings are none of a node, or contradict what was said.
        """
        number = statement.stages[0].at.line
        slots = self._read(number, statement.settings, NODE)
        for stage in statement.stages:
            node = self._node(stage.ends[0])
            said = self._slots.setdefault(node.name, {})
            for slot, given in slots.items():
                if slot in said:
                    self._check_same(said[slot], given)
                else:
                    said[slot] = given
                    apply_to_node(node, given)

    def add_links(self, statement: Statement) -> None:
        """Add a statement about links.

        :raises TopologyError: its settings are none of a link, or a link cannot be.
        """
        stages = statement.stages
        number = stages[0].at.line
        for stage in stages:
            for end in stage.ends:
                self._node(end)
        for_all = self._read(number, statement.settings, LINK)
        for (left, right), tokens in zip(pairwise(stages), statement.links, strict=True):
            slots = {**for_all, **self._read(number, tokens, LINK)}
            for one, other in product(left.ends, right.ends):
                self._add_link(one, other, slots)
        names = [{end.node for end in stage.ends} for stage in stages]
        closing = names[0] & names[-1]
        self._network.between.update(closing, *names[1:-1])

    def finish(self) -> Network:
        """Return the network.

        :raises TopologyError: a setting of a NAT is that of another kind of node.
        """
        for node in self._network.nodes.values():
            for key in ("kind", "outside"):
                if key in node.places and node.kind != model.NAT:
                    message = f"{key}= is a setting of a NAT, which {node.name} is not"
                    self._fail(message, node.places[key], f"write {node.name} [nat ...]")
        return self._network

    def _node(self, end: End) -> Node:
        node = self._network.nodes.get(end.node)
        if node is not None:
            return node
        other = self._spelled.setdefault(end.node.lower(), end.node)
        if other != end.node:
            message = f"{end.node!r} and {other!r} differ in capitals only"
            self._fail(
                message,
                end.at,
                "they would be one host to whoever looks up names; write it the same, or choose another name",
            )
        node = self._network.nodes[end.node] = Node(end.node, at=end.at)
        return node

    def _add_link(self, left: End, right: End, slots: Slots) -> None:
        if left.node == right.node:
            self._fail(f"a link from {left.node} to itself", right.at, "a link has two nodes: client -- server")
        for end in (left, right):
            if end.interface is None:
                continue
            key = (end.node, end.interface)
            if key in self._taken:
                self._fail(
                    f"two links have the interface {end.interface} of {end.node}",
                    end.at,
                    "each link has interfaces of its own; a node between two links, or at a group, has none named",
                )
            self._taken.add(key)
        link = Link(left, right, at=stretch(left, right))
        for given in slots.values():
            apply_to_link(link, given)
        self._network.links.append(link)

    def _read(self, number: int, tokens: Words, of: str) -> Slots:
        slots: Slots = {}
        for token in tokens:
            at = Position(number, token.column, len(token.text))
            given = Given(self._interpret(token.text, of, at), at, token.text)
            earlier = slots.setdefault(given.setting.slot, given)
            if earlier is not given:
                self._check_same(earlier, given)
        return slots

    def _interpret(self, word: str, of: str, at: Position) -> Setting:
        setting = self._known.get((of, word))
        if setting is None:
            try:
                setting = self._known[of, word] = interpret(word, of)
            except Unknown as unknown:
                self._fail(unknown.message, at, unknown.hint, unknown.word, unknown.known)
            except Refused as refused:
                self._fail(refused.message, at, refused.hint)
        return setting

    def _check_same(self, earlier: Given, given: Given) -> None:
        """Check that two settings of one slot are equal."""
        if given.setting[1:] != earlier.setting[1:]:
            where = "" if earlier.at.line == given.at.line else f" in line {earlier.at.line + 1}"
            hint = ONLY_ONE.get(given.setting.slot, "it can have one value only; take one of them out")
            self._fail(f"{given.word!r} contradicts {earlier.word!r}{where}", given.at, hint)

    def _fail(
        self, message: str, at: Position | None, hint: str, word: str = "", known: tuple[str, ...] = ()
    ) -> NoReturn:
        raise TopologyError(message, self._network.text, at, hint, word, known) from None


def stretch(left: End, right: End) -> Position | None:
    """Return the part of a line from one end to another."""
    if left.at is None or right.at is None:
        return None
    return Position(left.at.line, left.at.column, right.at.column + right.at.length - left.at.column)


def apply_to_node(node: Node, given: Given) -> None:
    """Write a setting into a node."""
    _, key, value, text = given.setting
    node.places[text] = given.at
    if key == "address":
        node.addresses.append(value)
    elif key == "sysctl":
        name, value = value
        node.sysctl[name] = value
    else:
        setattr(node, ATTRIBUTES.get(key, key), value)


def apply_to_link(link: Link, given: Given) -> None:
    """Write a setting into a link."""
    _, key, value, text = given.setting
    link.places[text] = given.at
    if key == "network":
        link.networks.append(value)
    else:
        setattr(link, key, value)
