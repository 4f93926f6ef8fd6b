"""The way of a packet through a network, by the routes that its hosts have now."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from .._arguments import check_timeout
from .._errors import NetNSTimeoutError, is_meant
from .._linux import syscalls
from .._netns import way

if TYPE_CHECKING:
    from .host import Host

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

PAUSE = 0.05  # seconds between two looks, each of which asks every host on the way


class Step(NamedTuple):
    """A host on the way, and what its routes say there."""

    host: Host
    way: way.Way


def follow(host: Host, address: str) -> Iterator[Step]:
    """Yield each host on the way to an address, from the first one to where the way ends.

    :param address: as text.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    target = (address, 0, 0, 0) if family == socket.AF_INET6 else (address, 0)
    seen: set[str] = set()
    following: Host | None = host
    while following is not None and following.label not in seen:
        seen.add(following.label)
        step = Step(following, way.find(following, family, target))
        yield step
        following = None if step.way.number or step.way.is_local else next_of(step)


def next_of(step: Step) -> Host | None:
    """Return the host that has the next hop, which may be an address that was added since, or a link-local one."""
    host, hop = step.host, step.way.next_hop
    owner = host._owner_of(hop)
    if owner is not None:
        return owner
    others = (host._find(name) for name in _beside(step))
    return next((other for other in others if any(each.get("address") == hop for each in other.ipr.get_addr())), None)


def _beside(step: Step) -> list[str]:
    """Return who is at the link by which a packet leaves; all hosts, where it is not one of the network."""
    interface = step.host.interfaces.get(step.way.interface)
    segment = None if interface is None else interface._port.segment
    return list(step.host._plan.nodes) if segment is None else [port.node.name for port in segment.ports]


def end_of(steps: list[Step]) -> str:
    """Say why a way ends where it does, and not at its goal."""
    last = steps[-1]
    if last.way.number:
        return str(last.way)
    owner = next_of(last)
    if owner is None:
        return f"{last.way}, and no host of the network has the address {last.way.next_hop}"
    return f"{last.way}, which is back to {owner.label}"


def describe(steps: list[Step]) -> str:
    """Say where a route leads."""
    names = ", ".join(step.host.label for step in steps[1:])
    if steps[-1].way.is_local:
        return f"leads over {names}" if names else "leads here"
    return (
        f"ends at {names.rpartition(', ')[2]!r}, after {names}: {end_of(steps)}"
        if names
        else f"ends here: {end_of(steps)}"
    )


def wait(host: Host, goal: str, address: str, hops: Sequence[str] | None, timeout: float) -> list[str]:
    """Do what ``Host.wait_route`` does.

    :param goal: what the test calls it, for errors.
    """
    check_timeout(timeout, "timeout")
    _check_hops(host, hops)
    began = syscalls.monotonic()
    seen: list[str] = []
    while True:
        passed = syscalls.monotonic() - began
        steps = list(follow(host, address))
        names = [step.host.label for step in steps[1:]]
        if steps[-1].way.is_local and (hops is None or names == list(hops)):
            return names
        found = describe(steps)
        if not seen or not seen[-1].endswith(found):
            seen.append(f"after {passed:.1f} s it {found}")
        if passed >= timeout:
            wanted = "" if hops is None else f" over {', '.join(hops)}"
            text = f"{host}: no route leads to {goal}{wanted} within {timeout:g} s; {'; '.join(seen)}"
            raise NetNSTimeoutError(errno.ETIMEDOUT, text)
        syscalls.sleep(min(PAUSE, timeout - passed))


def _check_hops(host: Host, hops: Any) -> None:
    """Check that hops can be what a route leads over.

    :raises TypeError: they are no names.
    :raises ValueError: one is not that of a host of the network.
    """
    if hops is None:
        return
    if isinstance(hops, str) or not isinstance(hops, Sequence) or not all(isinstance(name, str) for name in hops):
        raise TypeError(f"hops are the names of hosts, such as ['r1', 'server'], not {hops!r}")
    known = host._plan.nodes
    for name in hops:
        if name not in known:
            raise ValueError(f"there is no {name!r} in the network, which has {', '.join(known)}")
