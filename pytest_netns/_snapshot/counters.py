"""The counters of a namespace's protocols, by the names that nstat(8) gives them."""

from __future__ import annotations

FILES = ("/proc/thread-self/net/snmp", "/proc/thread-self/net/netstat", "/proc/thread-self/net/snmp6")
"""Those of a kernel without IPv6 lack the last."""
GAUGES = frozenset(
    {"IpForwarding", "IpDefaultTTL", "TcpRtoAlgorithm", "TcpRtoMin", "TcpRtoMax", "TcpMaxConn", "TcpCurrEstab"}
)
"""Not counted, but set, or as it is now."""


def parse(*contents: bytes) -> dict[str, int]:
    """Return what files of counters hold (proc_net(5))."""
    found: dict[str, int] = {}
    for content in contents:
        lines = content.decode("ascii", "replace").splitlines()
        if lines and not lines[0].partition(" ")[0].endswith(":"):  # snmp6: a name and a number in each line
            found |= {name: int(value) for name, value in (line.split() for line in lines)}
            continue
        for names, values in zip(lines[::2], lines[1::2], strict=True):
            prefix, *rest = names.split()
            found |= {
                prefix.rstrip(":") + name: int(value) for name, value in zip(rest, values.split()[1:], strict=True)
            }
    return {name: value for name, value in found.items() if name not in GAUGES}


def moved(earlier: dict[str, int], later: dict[str, int]) -> dict[str, int]:
    """Return by how much counters have risen; the ones that are not there earlier were 0."""
    return {name: value - earlier.get(name, 0) for name, value in later.items() if value != earlier.get(name, 0)}
