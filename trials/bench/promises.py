"""What the project promises, held against what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import report
from .timing import Sample


@dataclass(frozen=True)
class Promise:
    """One promise: a median, or a ratio of two, that is to stay on one side of a limit.

    :param least: whether the limit is the least it may be, or else the most.
    :param key: the row whose median is meant.
    :param of: the row it is divided by.
    :param scale: what the median is multiplied with, to be in ``unit``.
    """

    text: str
    least: bool
    limit: float
    unit: str
    key: str
    of: str | None = None
    scale: float = 1

    def measured(self, samples: Mapping[str, Sample]) -> float | None:
        """Return the value, or ``None`` where it was not measured."""
        if self.key not in samples or (self.of is not None and self.of not in samples):
            return None
        value = samples[self.key].median * self.scale
        return value if self.of is None else value / samples[self.of].median

    def kept(self, value: float) -> bool:
        return value >= self.limit if self.least else value <= self.limit


def _faster(text: str, limit: float, other: str, ours: str) -> Promise:
    return Promise(text, True, limit, "x", other, ours)


PROMISES = (
    _faster("resident socket: faster than pyroute2, fork", 40, "socket.pyroute2:fork", "socket.resident"),
    _faster("the same, in a process of 1 GB", 300, "large.pyroute2:fork", "large.resident"),
    Promise("fork socket: of a fork flow by hand", False, 1.25, "x", "socket.fork", "socket.bare:fork"),
    *(
        _faster(f"{mode} socket: as fast as pyroute2's", 1, f"socket.pyroute2:{mode}", f"socket.{mode}")
        for mode in ("mp:fork", "mp:forkserver", "mp:spawn")
    ),
    _faster("netns fixture: faster than pyroute2's nsname", 20, "fixture.nsname", "fixture.netns"),
    Promise("namespace: of the system calls it takes", False, 2, "x", "namespace.ours", "namespace.floor"),
    Promise("netns fixture: of the system calls it takes", False, 2, "x", "fixture.netns", "fixture.floor"),
    _faster("two hosts and a link: faster than ip", 5, "network.pair.ip", "network.pair.ours"),
    _faster("two hosts and a link: faster than pyroute2", 5, "network.pair.pyroute2", "network.pair.ours"),
    _faster("two hosts and a link: faster than munet", 100, "network.pair.munet", "network.pair.ours"),
    _faster(
        "a pair after a connection: reset faster than made anew",
        3,
        "network.rebuild.pair.connection",
        "network.reset.pair.connection",
    ),
    _faster("the same with 10 nodes", 3, "network.rebuild.ten.connection", "network.reset.ten.connection"),
    Promise(
        "a star of 1,000 hosts: of ip -batch", False, 1.5, "x", "network.star.1000.ours", "network.star.1000.batch"
    ),
    Promise("the same: of a star of 100 hosts", False, 15, "x", "network.star.1000.ours", "network.star.100.ours"),
    Promise("a line of 100 routers: of ip -batch", False, 1.5, "x", "network.line.ours", "network.line.batch"),
    _faster("sockets() of 1,000: cheaper for each than socket()", 1, "sockets.one", "sockets.many"),
    Promise("--netns-isolate=test: more for a test", False, 1, " ms", "isolation.cost.test", scale=1e3),
    Promise("--netns-isolate=worker: more for a test", False, 0.01, " ms", "isolation.cost.worker", scale=1e3),
    Promise("--netns-capture=failed: more for each namespace", False, 0.1, " ms", "capture.cost.namespace", scale=1e3),
    Promise("a recorded packet: of one that is not", False, 1.15, "x", "capture.packet.recorded", "capture.packet.off"),
    Promise("the same, over loopback", False, 1.15, "x", "capture.loopback.recorded", "capture.loopback.off"),
    Promise("resident child: memory", False, 12, " MB", "resident.memory"),
    Promise("resident child: start", False, 25, " ms", "resident.start", scale=1e3),
    Promise("pytest that never uses the plugin: start-up", False, 10, " ms", "startup.cost", scale=1e3),
    Promise("the same: pyroute2, asyncio, multiprocessing loaded", False, 0, "", "startup.heavy"),
)
NOT_QUICK = ("large.",)  # the process of a quick run is not large


@dataclass(frozen=True)
class Verdict:
    """What came of a promise; ``measured`` and ``kept`` are ``None`` where it was not measured."""

    promise: Promise
    measured: float | None
    kept: bool | None

    def line(self) -> tuple[str, str, str, str]:
        promise, value = self.promise, self.measured
        promised = f"{'>=' if promise.least else '<='} {promise.limit:g}{promise.unit}"
        if value is None:
            return promise.text, promised, "-", "-"
        shown = f"{value:.0f}" if value >= 20 or value == 0 else f"{value:.2f}"
        return promise.text, promised, f"{shown}{promise.unit}", "OK" if self.kept else "MISSED"

    def as_data(self) -> dict[str, Any]:
        return {**vars(self.promise), "measured": self.measured, "kept": self.kept}


def judge(samples: Mapping[str, Sample], quick: bool) -> list[Verdict]:
    """Return what came of each promise."""
    if quick:
        samples = {key: sample for key, sample in samples.items() if not key.startswith(NOT_QUICK)}
    verdicts = []
    for promise in PROMISES:
        value = promise.measured(samples)
        verdicts.append(Verdict(promise, value, None if value is None else promise.kept(value)))
    return verdicts


def table(verdicts: Sequence[Verdict]) -> str:
    """Return the promises as a part of the table."""
    lines = [("", "promised", "measured", ""), *(verdict.line() for verdict in verdicts)]
    return "\n".join([report.rule("promises"), report.aligned(lines)])
