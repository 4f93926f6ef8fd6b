"""The text form of networks: one statement a line, about nodes or about links."""

from __future__ import annotations

from ..._arguments import check_type
from ..._errors import is_meant
from ..errors import TopologyError
from ..model import Network, Position
from .gathering import Gathering
from .statements import Line
from .writing import to_text

__all__ = ["Description", "parse", "to_text"]

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


class Description:
    """A network that is described by a text, to which more can be added.

    :param text: in the text form.
    :raises TopologyError: it is no network; the error shows where.
    :raises TypeError: it is no text.
    """

    def __init__(self, text: str = "") -> None:
        self._lines: list[str] = []
        self._gathering = Gathering(text)
        if text:
            self.add(text)

    def add(self, text: str) -> None:
        """Add lines.

        :raises TopologyError: what they say cannot be.
        """
        check_type(text, str, "the text of a network is a str, such as 'client -- server'")
        lines = text.split("\n")
        first = len(self._lines)
        self._lines += lines
        whole = "\n".join(self._lines)
        self._gathering.goes_on(whole)
        for number, line in enumerate(lines, first):
            statement = Line(whole, number, line).read()
            if statement is not None:
                self._gathering.add(statement)

    @property
    def nodes(self) -> list[str]:
        """The names of the nodes so far, in the order of the text."""
        return list(self._gathering.nodes)

    def network(self) -> Network:
        """Return what it says; names, addresses and routes that were left out are not worked out yet.

        :raises TopologyError: there is nothing, or what was said does not go together.
        """
        network = self._gathering.finish()
        if not network.nodes:
            raise TopologyError(
                "the network has no nodes", network.text, Position(0, 0), "expected a line such as: client -- server"
            )
        return network


def parse(text: str) -> Network:
    """Read a network.

    :param text: its text form.
    :return: as of ``Description.network``.
    :raises TopologyError: as of ``Description``.
    :raises TypeError: likewise.
    """
    check_type(text, str, "the text of a network is a str, such as 'client -- server'")
    return Description(text).network()
