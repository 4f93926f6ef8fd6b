"""The networks of the benchmarks, made by others: ip(8) command by command and by ``-batch``, pyroute2, and munet."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from pytest_netns._topology.making.requests import addresses_of
from pytest_netns._topology.plan import Plan

from .peers import unique_name

IFA_F_NODAD = 0x02  # <linux/if_addr.h>
MUNET_PYTHON = "NETNS_BENCH_MUNET"
"""The environment variable with the path of a Python that has munet, by default this one."""
MUNET_TIMEOUT = 120  # seconds


def commands(plan: Plan, prefix: str) -> tuple[list[str], dict[str, list[str]]]:
    """Return what ip(8) is told to make the same network: in the original namespace, and in each of its own."""
    outside = [f"netns add {prefix}{name}" for name in plan.nodes]
    inside: dict[str, list[str]] = {name: ["link set lo up"] for name in plan.nodes}
    for name, planned in plan.nodes.items():
        if planned.kind == "switch":
            outside.append(f"link add br0 netns {prefix}{name} type bridge")
            inside[name].append("link set br0 up")
        for port in planned.ports:
            if port.index < port.peer.index:
                outside.append(
                    f"link add {port.name} netns {prefix}{name} address {port.mac} type veth "
                    f"peer name {port.peer.name} netns {prefix}{port.peer.node.name} address {port.peer.mac}"
                )
            if planned.kind == "switch":
                inside[name].append(f"link set {port.name} master br0")
            inside[name] += [f"link set {port.name} addrgenmode none", f"link set {port.name} up"]
            inside[name] += [
                f"addr add {one} dev {port.name}{' nodad' if one.version == 6 else ''}" for one in addresses_of(port)
            ]
        inside[name] += [f"-{route.to.version} route add {route.to} via {route.via}" for route in planned.routes]
    return outside, inside


def by_ip(plan: Plan) -> None:
    """Make it command by command."""
    prefix = unique_name() + "-"
    outside, inside = commands(plan, prefix)
    try:
        for command in outside:
            subprocess.run(["ip", *command.split()], check=True)
        for name, some in inside.items():
            for command in some:
                subprocess.run(["ip", "-n", prefix + name, *command.split()], check=True)
    finally:
        for name in plan.nodes:
            subprocess.run(["ip", "netns", "del", prefix + name], check=True)


def by_batch(plan: Plan) -> float:
    """Make it by one ip(8) outside and one in each namespace; return how long that took, in seconds."""
    prefix = unique_name() + "-"
    outside, inside = commands(plan, prefix)
    began = time.perf_counter()
    try:
        _batch([], outside)
        for name, some in inside.items():
            _batch(["-n", prefix + name], some)
        return time.perf_counter() - began
    finally:
        _batch([], [f"netns del {prefix}{name}" for name in plan.nodes])


def _batch(options: list[str], some: list[str]) -> None:
    # "-4 route ..." is no line of a batch file.
    for family in ("", "-4", "-6"):
        lines = [
            line.removeprefix(family).strip() for line in some if line.startswith(family or ("link", "addr", "netns"))
        ]
        if lines:
            text = "\n".join(lines).encode()
            subprocess.run(["ip", *filter(None, [family]), *options, "-batch", "-"], input=text, check=True)


def by_pyroute2(plan: Plan) -> None:
    """Make a pair by one IPRoute in each namespace."""
    from pyroute2 import IPRoute, netns

    prefix = unique_name() + "-"
    try:
        for name in plan.nodes:
            netns.create(prefix + name)
        for name, planned in plan.nodes.items():
            with IPRoute(netns=prefix + name) as ipr:
                for port in planned.ports:
                    if port.index < port.peer.index:
                        peer = {"ifname": port.peer.name, "net_ns_fd": prefix + port.peer.node.name}
                        ipr.link("add", ifname=port.name, index=port.index, kind="veth", peer=peer)
                    index = ipr.link_lookup(ifname=port.name)[0]
                    for one in addresses_of(port):
                        prefix_length = one.network.prefixlen
                        ipr.addr("add", index=index, address=str(one.ip), prefixlen=prefix_length, flags=IFA_F_NODAD)
                    ipr.link("set", index=index, state="up")
    finally:
        for name in plan.nodes:
            netns.remove(prefix + name)


def why_no_munet() -> str:
    """Return why munet is left out, or nothing where it can be run."""
    found = subprocess.run([_munet_python(), "-c", "import munet"], capture_output=True, check=False)
    if found.returncode:
        return f"munet is left out: {MUNET_PYTHON} names no Python that has it"
    lacking = [program for program in ("unshare", "nsenter", "pgrep") if shutil.which(program) is None]
    return f"munet is left out: there is no {lacking[0]}, which it uses" if lacking else ""


def by_munet(rounds: int) -> list[float]:
    """Make a pair by munet, again and again; return how long each took, in seconds, of those that did not fail.

    In a PID namespace of its own: munet reads the namespaces of process 1, which not everybody may; and what it leaves
    behind ends with that.
    """
    apart = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    program = [_munet_python(), str(Path(__file__).with_name("munet_pair.py")), str(rounds)]
    run = subprocess.run(
        [*apart, *program], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=MUNET_TIMEOUT, check=False
    )
    return [float(line) for line in run.stdout.split()]


def _munet_python() -> str:
    return os.environ.get(MUNET_PYTHON) or sys.executable
