"""The groups of a partition, and whether they can be kept apart."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable

from ..._errors import is_meant
from .. import model
from ..errors import TopologyError
from ..plan import Plan, Planned, Port

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


def checked(plan: Plan, groups: tuple[Iterable[str], ...]) -> list[set[str]]:
    """Return the groups as sets.

    :raises TypeError: one is not a collection of names.
    :raises TopologyError: there are too few, a name is no node or is in two, or packets between them cannot be told.
    """
    found = [_checked_group(plan, group) for group in groups]
    if len(found) < 2:
        raise TopologyError("a partition has two groups or more", hint='as in net.partition({"a", "r1"}, {"b"})')
    for one, other in itertools.combinations(found, 2):
        if both := one & other:
            raise TopologyError(f"{min(both)!r} is in two groups", hint="a node can be on one side only")
        for here, there in itertools.product(sorted(one), sorted(other)):
            _check_switches(plan, found, plan.nodes[here], plan.nodes[there])
            _check_switches(plan, found, plan.nodes[there], plan.nodes[here])
    _check_nats(plan, found)
    _check_addresses(plan, found)
    return found


def _checked_group(plan: Plan, group: Iterable[str]) -> set[str]:
    if not isinstance(group, (set, frozenset, list, tuple)) or not all(isinstance(name, str) for name in group):
        raise TypeError(
            f'a group is a set of names of nodes, as in net.partition({{"a", "r1"}}, {{"b"}}), not {group!r}'
        )
    if not group:
        raise TopologyError("a group is empty", hint="a partition keeps nodes of one group from those of another")
    for name in group:
        if name not in plan.nodes:
            raise TopologyError(
                f"there is no {name!r} in the network",
                hint=f"it has {', '.join(plan.nodes)}",
                word=name,
                known=tuple(plan.nodes),
            )
    return set(group)


def _check_switches(plan: Plan, groups: list[set[str]], switch: Planned, other: Planned) -> None:
    """Check that a switch hears of a node, if at all, by links that the partition cuts.

    It sends nothing of its own, so that nothing else can be told by its address.
    """
    if switch.kind != model.SWITCH:
        return
    between = _reached(switch, other, {})
    if between is None:
        raise TopologyError(
            f"{switch.name!r} is a switch, and {other.name!r} is beyond a router or in another network",
            hint="a switch has no packets of its own: name the hosts at it",
        )
    group_of = {name: number for number, group in enumerate(groups) for name in group}
    between = _reached(switch, other, group_of)
    if between is not None:
        raise TopologyError(
            f"between the switch {switch.name!r} and {other.name!r} is {between!r}, which is on the side of "
            f"{switch.name!r} or on none",
            hint="name the switches between, each on its side, so that a link is cut; or name hosts instead",
        )


def _reached(switch: Planned, wanted: Planned, group_of: dict[str, int]) -> str | None:
    """Return the last switch on the way from one to a node, or ``None`` where there is none.

    :param group_of: links between two groups are no way.
    """
    seen, edge = {switch.name}, [switch]
    while edge:
        near = edge.pop()
        for port in near.ports:
            far = port.peer.node
            groups = [group_of.get(one.name) for one in (near, far)]
            if None not in groups and groups[0] != groups[1]:
                continue
            if far is wanted:
                return near.name
            if far.kind == model.SWITCH and far.name not in seen:
                seen.add(far.name)
                edge.append(far)
    return None


def _check_nats(plan: Plan, groups: list[set[str]]) -> None:
    """Check that no packet between groups has, at both its ends, the address of a NAT that is in no group."""
    named = set().union(*groups)
    nats = [one for one in plan.nodes.values() if one.kind == model.NAT and one.name not in named]
    hidden = {name: nat.name for nat in nats for port in _inside(nat) for name in _near(port.peer.node, nats)}
    behind = [sorted(group & hidden.keys()) for group in groups]
    found = [names[0] for names in behind if names]
    if len(found) > 1:
        raise TopologyError(
            f"{found[0]!r} and {found[1]!r} are both behind a NAT ({hidden[found[0]]}, {hidden[found[1]]}), by whose "
            "address packets between them are not to be told from those of others",
            hint="put each NAT into the group of those behind it",
        )


def _check_addresses(plan: Plan, groups: list[set[str]]) -> None:
    """Check that nobody outside of a group has an address that somebody in it has, in a network that overlaps."""
    owners: dict[str, list[str]] = {}
    for name, planned in plan.nodes.items():
        for port in planned.ports:
            for interface in port.addresses:
                owners.setdefault(str(interface.ip), []).append(name)
    for address, names in owners.items():
        for group in groups:
            inside, others = [one for one in names if one in group], [one for one in names if one not in group]
            if inside and others:
                raise TopologyError(
                    f"{inside[0]!r} and {others[0]!r} have the same address, {address}, by which packets are told",
                    hint="put both into one group, or give their networks other addresses",
                )


def _inside(nat: Planned) -> list[Port]:
    return [port for port in nat.ports if port is not nat.outside]


def _near(begin: Planned, nats: Collection[Planned]) -> set[str]:
    """Return what can be reached from a node without a NAT."""
    seen, edge = {begin.name}, [begin]
    while edge:
        for port in edge.pop().ports:
            far = port.peer.node
            if far not in nats and far.name not in seen:
                seen.add(far.name)
                edge.append(far)
    return seen
