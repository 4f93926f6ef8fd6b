"""Hosts that ask for a neighbour once: then what is lost at first does not arrive, however long one waits."""

from __future__ import annotations

from pytest_netns import Host

TABLES = {4: "arp_cache", 6: "ndisc_cache"}
AGAIN = 120_000  # milliseconds until a host asks again, by default a thousand
PATIENCE = 20.0  # seconds to wait for what has to arrive at first


def ask_once(*hosts: Host) -> None:
    """Have hosts ask for each neighbour once, and again much later than a test waits."""
    for host in hosts:
        lines = [
            f"ntable change name {TABLES[version]} dev {name} retrans {AGAIN}\n"
            for name, interface in host.interfaces.items()
            for version in {address.version for address in interface.addresses}
        ]
        host.run(["ip", "-batch", "-"], input="".join(lines), text=True, check=True)
