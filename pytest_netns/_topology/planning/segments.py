"""Who reaches whom without a router."""

from __future__ import annotations

from typing import TypeAlias

from ..._errors import is_meant
from .. import model
from ..errors import TopologyError
from ..model import Link, Network
from ..plan import Planned, Port, Segment

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

UNTAGGED = 1  # the VLAN of a switch's port that says none, as of a bridge of the kernel

Place: TypeAlias = "tuple[str, int]"
"""An interface by its node and index, or the part of a switch that belongs to a VLAN."""


def segments_of(network: Network, nodes: dict[str, Planned]) -> list[Segment]:
    """Return the segments of a network, in the order in which the text comes to them.

    :raises TopologyError: switches are in a ring, or a trunk leads to what is no switch.
    """
    joined, switches = _Joined(), _Joined()
    for link in network.links:
        kinds = [nodes[end.node].kind for end in link.ends]
        if (link.access or link.trunk) and model.SWITCH not in kinds:
            word = "access" if link.access else "trunk"
            raise TopologyError(
                f"{word}= is a setting of a link at a switch, and this one joins a {kinds[0]} and a {kinds[1]}",
                network.text,
                link.places.get(word, link.at),
                "say which node is a switch: sw1 [switch]",
            )
        if link.trunk and kinds != [model.SWITCH, model.SWITCH]:
            raise TopologyError(
                f"a trunk joins two switches, not a {kinds[0]} and a {kinds[1]}",
                network.text,
                link.places.get("trunk", link.at),
                "give what is no switch a link for each VLAN, with access=",
            )
        is_between_switches = kinds == [model.SWITCH, model.SWITCH]
        if is_between_switches and not switches.join((link.left.node, 0), (link.right.node, 0)):
            raise TopologyError(
                "this link closes a ring of switches, in which frames would circle for ever",
                network.text,
                link.at,
                "leave one link out, or let a router stand between two of them",
            )
        for one, other in zip(*(_places(nodes[end.node], link) for end in link.ends), strict=True):
            joined.join(one, other)
    return _collect(network, nodes, joined)


def _places(planned: Planned, link: Link) -> list[Place]:
    """Return where one end of a link is, for each VLAN that it carries."""
    vlans = link.trunk or (link.access or UNTAGGED,)
    if planned.kind == model.SWITCH:
        return [(planned.name, -vlan) for vlan in vlans]
    return [(planned.name, _port_of(planned, link).index)] * len(vlans)


def _port_of(planned: Planned, link: Link) -> Port:
    return next(port for port in reversed(planned.ports) if port.link is link)


def _collect(network: Network, nodes: dict[str, Planned], joined: _Joined) -> list[Segment]:
    found: dict[Place, Segment] = {}
    ports = {port.index: port for planned in nodes.values() for port in planned.ports}
    for link in network.links:
        for end in link.ends:
            planned = nodes[end.node]
            for place in _places(planned, link):
                segment = found.setdefault(joined.root(place), Segment(at=link.at))
                port = ports.get(place[1])
                if port is not None and port.segment is None:
                    port.segment = segment
                    segment.ports.append(port)
        for given in link.networks:
            _give(network, link, segment, given)
    return list(found.values())


def _give(network: Network, link: Link, segment: Segment, given: model.IPNetwork) -> None:
    same_family = [one for one in segment.networks if one.version == given.version]
    if not same_family:
        segment.networks.append(given)
    elif same_family != [given]:
        raise TopologyError(
            f"this link belongs to the network {same_family[0]} already, by a switch or another link",
            network.text,
            link.at,
        )


class _Joined:
    """Places that belong together (union by path halving)."""

    def __init__(self) -> None:
        self._above: dict[Place, Place] = {}

    def root(self, place: Place) -> Place:
        above = self._above
        above.setdefault(place, place)
        while above[place] != place:
            above[place] = place = above[above[place]]
        return place

    def join(self, one: Place, other: Place) -> bool:
        """Join two, and return whether they were apart."""
        root, other_root = self.root(one), self.root(other)
        self._above[other_root] = root
        return root != other_root
