"""The text form of networks: one statement a line, about nodes or about links."""

from __future__ import annotations

from .._arguments import check_type
from .._errors import is_meant
from .errors import TopologyError
from .gathering import Gathering
from .model import Network, Position
from .statements import Line
from .writing import to_text

__all__ = ["parse", "to_text"]

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


def parse(text: str) -> Network:
    """Read a network.

    :param text: its text form.
    :return: what it says; names, addresses and routes that were left out are not worked out yet.
    :raises TopologyError: it is no network; the error shows where.
    :raises TypeError: it is no text.
    """
    check_type(text, str, "the text of a network is a str, such as 'client -- server'")
    gathering = Gathering(text)
    for number, line in enumerate(text.split("\n")):
        statement = Line(text, number, line).read()
        if statement is None:
            continue
        if statement.links:
            gathering.add_links(statement)
        else:
            gathering.add_nodes(statement)
    network = gathering.finish()
    if not network.nodes:
        raise TopologyError(
            "the network has no nodes", text, Position(0, 0), "expected a line such as: client -- server"
        )
    return network
