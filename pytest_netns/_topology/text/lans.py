"""Networks as FRRouting's topotests write them: a dict of switches, each with the routers at it."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from ..._arguments import check_mapping
from ..._errors import is_meant
from ..errors import TopologyError
from ..model import ROUTER, SWITCH, End, Link, Network, Node
from . import checks

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

Lans: TypeAlias = "Mapping[str, str | Iterable[str]] | Mapping[str | None, str | Iterable[str]]"

FORMS = "a router is written 'r1', 'r1:eth-r2' with its interface, or 'r1:eth-r2:s1-eth0' with that of the switch too"


def from_lans(lans: Lans) -> Network:
    """Read a network that is a dict of LANs, FRRouting's ``topodef``.

    Interfaces without a name are called as there: ``r1-eth0``, ``r1-eth1``, ..., in the order of the switches. This is
    the alphabetical one, as there, but for an ``OrderedDict``.

    :param lans: for the name of each switch, the names of the routers at it; one name may stand without a tuple.
        Routers below the key ``None`` are at no switch.
    :return: the network.
    :raises TopologyError: a name or an interface cannot be.
    :raises TypeError: it is no such dict.
    """
    check_mapping(lans, "a dict of LANs", {"s1": ("r1", "r2")})
    network = Network()
    gear = {switch: [read(entry, switch) for entry in entries(lans, switch)] for switch in in_order(lans)}
    routers = list(dict.fromkeys(router for some in gear.values() for router, _, _ in some))
    network.nodes = {name: Node(name, ROUTER) for name in routers}
    for switch in gear:
        if switch is not None and switch not in network.nodes:  # else the links are from router to router
            check(checks.node_name, switch)
            network.nodes[switch] = Node(switch, SWITCH)
    counts: Counter[str] = Counter()
    for switch, some in gear.items():
        for router, interface, port in some if switch is not None else ():
            assert switch is not None
            if router == switch:
                raise TopologyError(
                    f"a link from {router} to itself", hint="a router is at a switch, or at another router"
                )
            right = End(switch, port or count(counts, switch))
            left = End(router, interface or count(counts, router))
            network.links.append(Link(left, right))
    check_interfaces(network)
    return network


def in_order(lans: Lans) -> list[str | None]:
    """Return the names of the switches in the order in which interfaces are counted."""
    for name in lans:
        if not (name is None or isinstance(name, str)):
            raise TypeError(f"the name of a switch is a str, such as 's1', not {name!r}")
    if isinstance(lans, OrderedDict):
        return list(lans)
    return sorted(lans, key=lambda name: name or "")


def entries(lans: Lans, switch: str | None) -> list[str]:
    """Return who is at a switch."""
    found = lans[switch]  # type: ignore[index]
    some = [found] if isinstance(found, str) else list(found) if isinstance(found, Iterable) else [found]
    for entry in some:
        if not isinstance(entry, str):
            raise TypeError(f"the routers at {switch!r} are a tuple of str, such as ('r1', 'r2'), not {found!r}")
    return some


def read(entry: str, switch: str | None) -> tuple[str, str | None, str | None]:
    """Return a router, its interface, and that of the switch."""
    name, *interfaces = entry.split(":")
    if len(interfaces) > 2:
        raise TopologyError(f"{entry!r} at {switch!r} has too many parts", hint=FORMS)
    check(checks.node_name, name)
    for interface in interfaces:
        check(checks.interface_name, interface)
    mine, other = (*interfaces, None, None)[:2]
    return name, mine, other


def check(condition: Callable[[str], None], name: str, more: str = "") -> None:
    """Check a name."""
    try:
        condition(name)
    except checks.Refused as refused:
        raise TopologyError(refused.message, hint=refused.hint + more) from None


def count(counts: Counter[str], node: str) -> str:
    """Return the next interface of a node."""
    counts[node] += 1
    return f"{node}-eth{counts[node] - 1}"


def check_interfaces(network: Network) -> None:
    """Check that no interface is too long, and that each is at one link."""
    taken = set()
    for link in network.links:
        for end in link.ends:
            assert end.interface is not None
            check(checks.interface_name, end.interface, f"; name one yourself: '{end.node}:eth0'")
            if (end.node, end.interface) in taken:
                message = f"two links have the interface {end.interface} of {end.node}"
                raise TopologyError(message, hint="each link has interfaces of its own")
            taken.add((end.node, end.interface))
