"""How far packets get, as the routers on the way tell."""

from __future__ import annotations

from .._errors import is_meant
from .._linux import syscalls
from .icmp import EXPIRED
from .probes import Echo, MakeSocket, Target, closing, run

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

HOP_TIMEOUT = 1.0  # seconds for a router to answer
MOST_HOPS = 30  # as traceroute(8)


def trace(make: MakeSocket, target: Target, most: int = MOST_HOPS, timeout: float = HOP_TIMEOUT) -> list[str]:
    """Return the addresses of the routers that forward to an address, as far as they answer.

    A router tells that a packet may go no further before its packet filter comes to drop that, and only where it has a
    route to its destination (Linux: net/ipv4/ip_forward.c, net/ipv6/ip6_output.c).

    :param make: makes a socket in the namespace.
    :param most: how many of them to look for.
    :param timeout: how long each may take to answer, in seconds.
    """
    found: list[str] = []
    for hops in range(1, most + 1):
        with closing([Echo(make, target, hops)]) as probes:
            run(probes, syscalls.monotonic() + timeout, lambda probes: bool(probes[0].heard))
            last = probes[0].last
        if last is None or last.kind != EXPIRED:
            break
        found.append(last.sender)
    return found
