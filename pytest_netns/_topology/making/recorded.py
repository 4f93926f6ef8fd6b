"""What the recorder is told of links before they are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from ..plan import Port

if TYPE_CHECKING:
    from ..._handle import Handle
    from ..._netns.namespace import NetNS


def tell_of_links(ports: Iterable[Port], spaces: Mapping[str, NetNS]) -> None:
    """Tell the recorder of links.

    :param ports: an end of each.
    :param spaces: the namespace of each node.
    """

    def end(port: Port) -> tuple[Handle, int, str]:
        return spaces[port.node.name]._handle, port.index, port.name

    if spaces:
        recorder = next(iter(spaces.values()))._recorder
        recorder.know((end(port), end(port.peer)) for port in ports)
