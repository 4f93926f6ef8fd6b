"""What stands at the nodes and links of a picture."""

from __future__ import annotations

from .. import model
from ..plan import Planned, Port


def kind_of(planned: Planned) -> str:
    """Return the kind of a node."""
    if planned.kind == model.NAT and planned.node.nat:
        return f"{planned.kind} {planned.node.nat}"
    return planned.kind


def settings_of(port: Port) -> str:
    """Return what is special about a link, as in the text of a network."""
    link = port.link
    settings = [
        f"mtu={link.mtu}" if link.mtu else "",
        f"access={link.access}" if link.access else "",
        f"trunk={','.join(map(str, link.trunk))}" if link.trunk else "",
    ]
    words = " ".join(filter(None, settings))
    return f"[{words}]" if words else ""
