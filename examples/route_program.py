"""An ordinary program that uses pyroute2: it takes the path of a network namespace, and knows nothing of tests.

Usage: python route_program.py /run/netns/NAME 198.51.100.0/24 192.0.2.2
"""

from __future__ import annotations

import sys
from socket import AF_INET

from pyroute2 import IPRoute


def add_route(netns: str, dst: str, gateway: str) -> None:
    """Add a route to a namespace."""
    with IPRoute(netns=netns) as ipr:
        ipr.route("add", dst=dst, gateway=gateway)


def routes(netns: str) -> dict[str, str]:
    """Return the IPv4 routes of a namespace that have a gateway: the destinations, and the gateway of each."""
    with IPRoute(netns=netns) as ipr:
        return {
            f"{route.get('dst') or '0.0.0.0'}/{route['dst_len']}": route.get("gateway")
            for route in ipr.route("dump", family=AF_INET)
            if route.get("gateway")
        }


if __name__ == "__main__":
    add_route(*sys.argv[1:])
    for dst, gateway in routes(sys.argv[1]).items():
        print(f"{dst} via {gateway}")
