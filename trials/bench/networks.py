"""Networks made, reset and let go of: ours, beside those of others."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator

from pytest_netns._netns.factory import Session
from pytest_netns._netns.namespace import NetNS
from pytest_netns._netns.options import Options
from pytest_netns._topology.host import Host
from pytest_netns._topology.plan import Plan
from pytest_netns._topology.planning.planner import make_plan
from pytest_netns._topology.text.reading import parse
from pytest_netns._topology.topology import Topology

from . import network_memory, report
from .network_peers import by_batch, by_ip, by_munet, by_pyroute2, why_no_munet
from .peers import settle
from .timing import Case, Sample, interleave, samples

PAIR = "left -- right"
TEN = "sw [switch]\nsw -- {h0 h1 h2 h3 h4 r1}\nr1 [router]\nr1 -- r2 -- h5\nr2 -- h6"
LINE = " -- ".join(f"r{number}" for number in range(100))
PAIR_LABELS = {
    "network.pair.ours": "left -- right, ready",
    "network.pair.batch": "ip -batch, not waited for",
    "network.pair.ip": "ip, not waited for",
    "network.pair.pyroute2": "pyroute2, not waited for",
    "network.pair.munet": "munet",
}
USES = {"connection": "a connection", "much": "a connection, a command, a route, a link down"}
RESET_LABELS = {
    f"network.{how}.{name}.{use}": f"{what}: {'reset' if how == 'reset' else 'closed and made anew'}"
    for name, what in (("pair", "a pair"), ("ten", "10 nodes"))
    for use in USES
    for how in ("reset", "rebuild")
}
SIZES = {10: 20, 100: 10, 300: 3, 1000: 3}
"""Hosts of a star, and how often it is made."""


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
    reason = why_no_munet()
    found = [] if reason else by_munet(2 if quick else 10)
    if found:
        times["network.pair.munet"] = found
    elif not reason:
        reason = "munet is left out: it failed each time"
    others = [key for key in PAIR_LABELS if key != "network.pair.ours"]
    return report.Section(
        "two hosts and a link, made and closed",
        report.rows(samples(times), PAIR_LABELS),
        (report.Column("x ours", dict.fromkeys(others, "network.pair.ours")),),
        reason or None,
    )


def reset_section(quick: bool) -> report.Section:
    """Measure networks that a test has used, made as they were, and closed and made anew."""
    times: dict[str, list[float]] = {}
    for name, text in (("pair", PAIR), ("ten", TEN)):
        for use in USES:
            with contextlib.closing(Session()) as session:
                found = _reset_or_rebuild(session, text, use, 3 if quick else 30)
            times |= {f"network.{how}.{name}.{use}": some for how, some in found.items()}
    resets = [key for key in RESET_LABELS if key.startswith("network.reset")]
    ratios = {key: key.replace("reset", "rebuild") for key in resets}
    return report.Section(
        "a network that a test has used, for the next test",
        report.rows(samples(times), RESET_LABELS),
        (report.Column("faster by", ratios, inverted=True),),
        f"of each, first after {USES['connection']}, then after {USES['much']}",
    )


def _reset_or_rebuild(session: Session, text: str, use: str, rounds: int) -> dict[str, list[float]]:
    with contextlib.ExitStack() as stack:
        kept = stack.enter_context(ours(session, text))
        current = stack.enter_context(contextlib.ExitStack())
        rebuilt = [current.enter_context(ours(session, text))]

        def rebuild() -> None:
            current.close()
            rebuilt[0] = current.enter_context(ours(session, text))

        def use_again(net: Topology) -> None:
            _use(net, much=use == "much")
            settle()

        use_again(kept)
        use_again(rebuilt[0])
        cases = [
            Case("reset", kept.reset, lambda _: use_again(kept)),
            Case("rebuild", rebuild, lambda _: use_again(rebuilt[0])),
        ]
        return interleave(cases, rounds)


def _use(net: Topology, *, much: bool) -> None:
    """Do what a test may do."""
    hosts = [net[name] for name in net if net[name].kind == "host"]
    client, server = hosts[0], hosts[-1]
    server.create_server((server.ip, 80))
    client.create_connection((server.ip, 80), timeout=5)
    if much:
        client.run(["true"])
        client.ipr.route("add", dst="198.51.100.0/24", oif=client.interfaces["eth0"].index)
        server.interfaces["eth0"].down()


def large_section(quick: bool) -> report.Section:
    """Measure networks of many hosts as they are made; the kernel frees them later, in its own time."""
    rounds = {10: 1, 30: 1} if quick else SIZES
    texts = {f"star.{size}": (star(size), times) for size, times in rounds.items()} | {
        "line": (LINE, 1 if quick else 3)
    }
    labels: dict[str, str] = {}
    found: dict[str, list[float]] = {}
    for name, (text, times) in texts.items():
        plan = make_plan(parse(text))
        what = f"{len(plan.nodes)} nodes, {'all routes' if name == 'line' else 'one switch'}"
        labels |= {f"network.{name}.ours": f"{what}: ours", f"network.{name}.batch": f"{what}: ip -batch"}
        found[f"network.{name}.ours"] = [_time_ours(text) for _ in range(times)]
        found[f"network.{name}.batch"] = [_time_batch(plan) for _ in range(min(times, 3))]
    largest = max(rounds)
    memory, of_child = network_memory.measure(largest)
    measured = samples(found)
    measured["network.memory"] = Sample.of([memory / largest], "kB")
    measured["network.memory.resident"] = Sample.of([of_child / largest], "kB")
    labels["network.memory"] = f"what pytest holds for each of {largest} hosts"
    labels["network.memory.resident"] = "what the resident child holds for each"
    return report.Section(
        "networks of many hosts, made",
        report.rows(measured, labels),
        (report.Column("x ip -batch", {f"network.{name}.ours": f"network.{name}.batch" for name in texts}),),
    )


def _time_ours(text: str) -> float:
    settle()
    with contextlib.closing(Session()) as session:
        session.namespace().close()
        began = time.perf_counter()
        with ours(session, text):
            return time.perf_counter() - began


def _time_batch(plan: Plan) -> float:
    settle()
    return by_batch(plan)
