"""Networks made and let go of: ours, ip(8) command by command and by ``-batch``, and pyroute2."""

from __future__ import annotations

import contextlib
import gc
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator

from pytest_netns._netns.factory import Options, Session
from pytest_netns._netns.namespace import NetNS
from pytest_netns._topology.host import Host
from pytest_netns._topology.making.requests import addresses_of
from pytest_netns._topology.plan import Plan
from pytest_netns._topology.planning.planner import make_plan
from pytest_netns._topology.text.reading import parse
from pytest_netns._topology.topology import Topology

from . import report
from .peers import resident_memory, unique_name
from .timing import Case, Sample, interleave, samples

IFA_F_NODAD = 0x02  # <linux/if_addr.h>
PAIR = "left -- right"
LINE = " -- ".join(f"r{number}" for number in range(100))
LABELS = {
    "network.pair.ours": "left -- right, ready",
    "network.pair.batch": "ip -batch, not waited for",
    "network.pair.ip": "ip, not waited for",
    "network.pair.pyroute2": "pyroute2, not waited for",
}


def star(hosts: int) -> str:
    return "sw [switch]\nsw -- {" + " ".join(f"h{number}" for number in range(hosts)) + "}"


@contextlib.contextmanager
def ours(session: Session, text: str) -> Iterator[Topology]:
    def make(kind: type[Host], options: Options, own: Callable[[NetNS], object]) -> Host:
        return session.make(options, kind=kind, own=own)

    net = Topology(text)
    net._own(make)
    with net:
        yield net


def commands(plan: Plan, prefix: str) -> tuple[list[str], dict[str, list[str]]]:
    """Return what ip(8) is told to make the same network: at home, and in each namespace."""
    at_home = [f"netns add {prefix}{name}" for name in plan.nodes]
    inside: dict[str, list[str]] = {name: ["link set lo up"] for name in plan.nodes}
    for name, planned in plan.nodes.items():
        if planned.kind == "switch":
            at_home.append(f"link add br0 netns {prefix}{name} type bridge")
            inside[name].append("link set br0 up")
        for port in planned.ports:
            if port.index < port.peer.index:
                at_home.append(
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
    return at_home, inside


def by_ip(plan: Plan) -> None:
    """Make it command by command."""
    prefix = unique_name() + "-"
    at_home, inside = commands(plan, prefix)
    try:
        for command in at_home:
            subprocess.run(["ip", *command.split()], check=True)
        for name, some in inside.items():
            for command in some:
                subprocess.run(["ip", "-n", prefix + name, *command.split()], check=True)
    finally:
        for name in plan.nodes:
            subprocess.run(["ip", "netns", "del", prefix + name], check=True)


def by_batch(plan: Plan) -> float:
    """Make it by one ip(8) at home and one in each namespace; return how long that took, in seconds."""
    prefix = unique_name() + "-"
    at_home, inside = commands(plan, prefix)
    began = time.perf_counter()
    try:
        _batch([], at_home)
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
    """Make a pair by one IPRoute in each namespace, and one at home."""
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


def pair_section(quick: bool) -> report.Section:
    """Measure two hosts and a link, from nothing to gone."""
    plan = make_plan(parse(PAIR))
    with contextlib.closing(Session()) as session:

        def make_ours() -> None:
            with ours(session, PAIR):
                pass

        cases = [
            Case("network.pair.ours", make_ours, in_a_row=3),
            Case("network.pair.pyroute2", lambda: by_pyroute2(plan)),
        ]
        if shutil.which("ip"):
            cases.append(Case("network.pair.ip", lambda: by_ip(plan)))
            cases.append(Case("network.pair.batch", lambda: by_batch(plan)))
        times = interleave(cases, 3 if quick else 60)
    others = [key for key in LABELS if key != "network.pair.ours"]
    return report.Section(
        "two hosts and a link, made and closed",
        report.rows(samples(times), LABELS),
        (report.Column("x ours", dict.fromkeys(others, "network.pair.ours")),),
    )


def large_section(quick: bool) -> report.Section:
    """Measure networks of many hosts as they are made; the kernel frees them later, in its own time."""
    sizes = (10, 30) if quick else (10, 100, 300, 1000)
    texts = {f"star.{size}": star(size) for size in sizes} | {"line": LINE}
    labels: dict[str, str] = {}
    found: dict[str, list[float]] = {}
    # First, since what other networks leave in the heap is used again.
    with contextlib.closing(Session()) as session:
        session.namespace().close()
        gc.collect()
        before = resident_memory()
        with ours(session, star(sizes[-1])):
            gc.collect()
            memory = resident_memory() - before
    for name, text in texts.items():
        plan = make_plan(parse(text))
        what = f"{len(plan.nodes)} nodes, {'all routes' if name == 'line' else 'one switch'}"
        labels |= {f"network.{name}.ours": f"{what}: ours", f"network.{name}.batch": f"{what}: ip -batch"}
        rounds = range(1 if quick else 3)
        found[f"network.{name}.ours"] = [_time_ours(text) for _ in rounds]
        found[f"network.{name}.batch"] = [by_batch(plan) for _ in rounds]
    found_samples = samples(found) | {"network.memory": Sample.of([memory], "MB")}
    labels["network.memory"] = f"what pytest holds for {sizes[-1]} hosts"
    ratios = {f"network.{name}.ours": f"network.{name}.batch" for name in texts}
    return report.Section(
        "networks of many hosts, made", report.rows(found_samples, labels), (report.Column("x ip -batch", ratios),)
    )


def _time_ours(text: str) -> float:
    with contextlib.closing(Session()) as session:
        session.namespace().close()
        began = time.perf_counter()
        with ours(session, text):
            return time.perf_counter() - began
