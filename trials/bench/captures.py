"""What a test pays whose namespaces are recorded, and what the packets pay that cross a link of theirs."""

from __future__ import annotations

import collections
import contextlib
import socket
import tempfile
import time

from pytest_netns._capture.recorder import WITHOUT_LIMIT, now
from pytest_netns._netns.factory import Session
from pytest_netns._topology.host import Host

from . import report
from .fixtures import record
from .networks import PAIR, ours
from .timing import Sample

MANY = 10  # namespaces of a test, so that what a test pays beside them counts little
ROUND = 2000  # packets
FIRST = 500  # packets, which are over before the rings are there
UNTIL_RINGS = 0.1  # seconds; the kernel takes up to 20 ms
DATAGRAMS = socket.AF_INET, socket.SOCK_DGRAM
LABELS = {
    "capture.off": "a test with a namespace",
    "capture.failed": "with --netns-capture=failed",
    "capture.cost.test": "more than one that is not recorded",
    f"capture.off.{MANY}": f"a test with {MANY} namespaces",
    f"capture.failed.{MANY}": "with --netns-capture=failed",
    "capture.cost.namespace": "more for each namespace",
    "capture.first.off": "a small packet, of the first 500 over a link",
    "capture.first.recorded": "recorded, until the rings are there",
    "capture.packet.off": "a small packet over a link",
    "capture.packet.recorded": "recorded, into the rings",
    "capture.loopback.off": "a small packet over loopback",
    "capture.loopback.recorded": "recorded, into the ring",
}
COMPARED = {f"capture.{what}.recorded": f"capture.{what}.off" for what in ("first", "packet", "loopback")}


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
    columns = (report.Column("x off", COMPARED),)
    return report.Section("namespaces whose frames are recorded", report.rows(measured, LABELS), columns)


def _packets(rounds: int) -> dict[str, list[float]]:
    """Return the times of a packet, each the mean of many in a row: recorded ones, and others, in turns.

    Each round has sessions of its own: as long as a recorder runs, the kernel notes the time of each frame.
    """
    times: dict[str, list[float]] = collections.defaultdict(list)
    for _ in range(rounds):
        for kind in ("off", "recorded"):
            with (
                contextlib.closing(Session(records=kind == "recorded")) as session,
                tempfile.TemporaryDirectory() as folder,
            ):
                if kind == "recorded":
                    path = f"{folder}/0.pcapng"
                    session.recorder.begin(path, [], now(), False, "", 0, longest=WITHOUT_LIMIT)
                with ours(session, PAIR) as net:
                    left, right = net["left"], net["right"]
                    times[f"capture.first.{kind}"].append(_exchange(left, right, FIRST))
                    time.sleep(UNTIL_RINGS)
                    times[f"capture.packet.{kind}"].append(_exchange(left, right))
                    times[f"capture.loopback.{kind}"].append(_exchange(left, left))
    return times


def _exchange(left: Host, right: Host, packets: int = ROUND) -> float:
    with left.socket(*DATAGRAMS) as sender, right.socket(*DATAGRAMS) as receiver:
        receiver.bind((right.ip, 7))
        sender.connect((right.ip, 7))
        began = time.perf_counter()
        for _ in range(packets):
            sender.send(b"a small packet")
            receiver.recv(100)
        return (time.perf_counter() - began) / packets
