"""What a test pays whose namespaces are recorded, and what the packets pay that cross a link of theirs."""

from __future__ import annotations

import collections
import socket
import time

from pytest_netns._netns.factory import Session

from . import report
from .fixtures import record
from .networks import PAIR, ours
from .timing import Sample

MANY = 10  # namespaces of a test, so that what a test pays beside them counts little
ROUND = 2000  # packets
LABELS = {
    "capture.off": "a test with a namespace",
    "capture.failed": "with --netns-capture=failed",
    "capture.cost.test": "more than one that is not recorded",
    f"capture.off.{MANY}": f"a test with {MANY} namespaces",
    f"capture.failed.{MANY}": "with --netns-capture=failed",
    "capture.cost.namespace": "more for each namespace",
    "capture.packet.off": "a small packet over a link",
    "capture.packet.recorded": "recorded at both ends",
}


def section(quick: bool) -> report.Section:
    """Measure in several runs; a difference is one between two runs that follow each other."""
    turns = 5 if quick else 50
    times: dict[str, list[float]] = collections.defaultdict(list)
    for _ in range(1 if quick else 12):
        for number, suffix, cost in ((1, "", "test"), (MANY, f".{MANY}", "namespace")):
            body = f"for _ in range({number}): make_netns()"
            suite = "".join(f"def test_{turn}(each): pass\n" for turn in range(turns + 1))
            fixture = f"import pytest\n@pytest.fixture\ndef each(make_netns):\n    {body}\n"
            medians = {}
            for mode in ("off", "failed"):
                recorded = record(fixture + suite, "-p", "pytest_netns.plugin", f"--netns-capture={mode}")
                # The first test is left out: it starts the resident child and the recorder.
                medians[mode] = Sample.of([recorded[f"test_{turn}"] for turn in range(1, turns + 1)]).median
                times[f"capture.{mode}{suffix}"].append(medians[mode])
            times[f"capture.cost.{cost}"].append((medians["failed"] - medians["off"]) / number)
    times |= _packets(5 if quick else 60)
    measured = {key: Sample.of(times[key]) for key in LABELS}
    columns = (report.Column("x off", {"capture.packet.recorded": "capture.packet.off"}),)
    return report.Section("namespaces whose frames are recorded", report.rows(measured, LABELS), columns)


def _packets(rounds: int) -> dict[str, list[float]]:
    """Return the times of a packet, each the mean of many in a row: recorded ones, and others, in turns."""
    session = Session()
    times: dict[str, list[float]] = {"capture.packet.off": [], "capture.packet.recorded": []}
    try:
        with ours(session, PAIR) as net:
            left, right = net["left"], net["right"]
            sender, receiver = (ns.socket(socket.AF_INET, socket.SOCK_DGRAM) for ns in (left, right))
            receiver.bind((right.ip, 7))
            sender.connect((right.ip, 7))
            for _ in range(rounds):
                times["capture.packet.off"].append(_exchange(sender, receiver))
                with left.capture(), right.capture():
                    _exchange(sender, receiver)  # until the rings are there
                    times["capture.packet.recorded"].append(_exchange(sender, receiver))
    finally:
        session.close()
    return times


def _exchange(sender: socket.socket, receiver: socket.socket) -> float:
    began = time.perf_counter()
    for _ in range(ROUND):
        sender.send(b"a small packet")
        receiver.recv(100)
    return (time.perf_counter() - began) / ROUND
