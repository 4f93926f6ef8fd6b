"""Networks with the same addresses: two homes that both use 192.168.1.0/24, each behind a NAT of its own.

That is no trouble where nobody has routes to both: to be told apart is for the NATs.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..._errors import is_meant
from ..errors import TopologyError
from ..model import IPNetwork, Position
from ..plan import Plan, Planned, Segment
from .routes import first_hops, forwarding

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


def check_overlaps(plan: Plan) -> None:
    """See that nobody has routes to two networks that were given and overlap, and note which those are.

    :raises TopologyError: somebody has.
    """
    for version in (4, 6):
        pairs = list(_overlapping(plan, version))
        if not pairs:
            continue
        seen = {name: _seen(plan, planned, version) for name, planned in plan.nodes.items()}
        for (network, segment), (other, other_segment) in pairs:
            both = {id(segment), id(other_segment)}
            names = [name for name, ids in seen.items() if both <= ids]
            if names:
                who = min(names, key=lambda name: not plan.nodes[name].forwards)
                raise TopologyError(
                    f"the network {other} overlaps with {network} of another link, and {who} is to reach both",
                    plan.network.text,
                    place(plan, other, other_segment),
                    "take one that does not, or none, and the next free one is picked; networks may overlap where "
                    "each is behind a NAT of its own",
                )
        plan.ambiguous |= {(id(segment), version) for pair in pairs for _, segment in pair}
        for name, ids in seen.items():
            plan.reached[name] = plan.reached.get(name, frozenset()) | {(one, version) for one in ids}


def place(plan: Plan, network: IPNetwork, segment: Segment) -> Position | None:
    """Return where the network of a segment was given."""
    own = [port.link for port in segment.ports]
    links = [link for link in plan.network.links if str(network) in link.places]
    nearest = [link for link in links if any(link is one for one in own)] or links
    return nearest[-1].places[str(network)] if nearest else segment.at


def _overlapping(plan: Plan, version: int) -> Iterator[tuple[tuple[IPNetwork, Segment], tuple[IPNetwork, Segment]]]:
    given = [(one, segment) for segment in plan.segments for one in segment.networks if one.version == version]
    order = {id(segment): number for number, segment in enumerate(plan.segments)}
    given.sort(key=lambda one: (int(one[0].network_address), one[0].prefixlen, order[id(one[1])]))
    for number, (network, segment) in enumerate(given):
        for other, other_segment in given[number + 1 :]:
            if int(other.network_address) > int(network.broadcast_address):
                break
            yield (network, segment), (other, other_segment)


def _seen(plan: Plan, planned: Planned, version: int) -> frozenset[int]:
    """Return the segments that a node is in, or is to have routes to, by what identifies them."""
    hops = first_hops(planned, {id(segment): forwarding(segment, version) for segment in plan.segments})
    own = [port.segment for port in planned.ports if port.segment is not None]
    return frozenset(map(id, [*own, *(segment for segment, _ in hops)]))
