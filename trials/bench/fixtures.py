"""The fixture ``netns`` beside pyroute2's ``nsname``, in real runs of pytest.

A run has two kinds of tests in turns: with the fixture and without any. What counts for the fixture is the time of the
set-up and the tear-down of its test (recorder.py says exactly which), less the median of those without: what pytest
itself takes for any test. Each fixture has runs of its own, in turns with those of the others, since a fork leaves page
faults behind, and a namespace the kernel's work of freeing it, and each is to meet its own only. No other plugins are
loaded. ``nsname`` waits until it sees the address of lo; ``floor`` is the least that a fixture can do.
"""

from __future__ import annotations

import collections
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from . import recorder, report
from .timing import Sample

PLUGINS = {
    "floor": "trials.bench.floor_fixture",
    "netns": "pytest_netns.plugin",
    "nsname": "pyroute2.fixtures.iproute",
}
LARGE = 300  # MB: a test suite with a few libraries
FILL = f"from trials.bench.large import fill\nheap = fill({LARGE})\n"
TURN = "def test_empty_{0}(): pass\ndef test_{1}_{0}({1}): pass\n"

LABELS = {
    "fixture.floor": "a fixture of bare system calls: the floor",
    "fixture.netns": "netns",
    "fixture.nsname": "pyroute2, nsname",
    "fixture.netns.large": f"netns, in a pytest of {LARGE} MB",
    "fixture.nsname.large": f"pyroute2, nsname, in a pytest of {LARGE} MB",
    "fixture.empty": "a test without any, which is taken off",
}


def section(quick: bool) -> report.Section:
    """Measure in several processes, since one alone may be lucky with its memory."""
    runs = [("floor", ""), ("netns", ""), ("nsname", ""), ("netns", ".large"), ("nsname", ".large")]
    if importlib.util.find_spec("pytest_asyncio") is None:
        runs = [(kind, size) for kind, size in runs if kind != "nsname"]
    times: dict[str, list[float]] = collections.defaultdict(list)
    for _ in range(1 if quick else 8):
        for kind, size in runs:
            used, empty = _run_pytest(kind, 5 if quick else 50, FILL if size else "")
            times["empty"] += empty
            times[kind + size] += [taken - statistics.median(empty) for taken in used]
    measured = {f"fixture.{kind}": Sample.of(values) for kind, values in times.items()}
    return report.Section(
        "the fixture, set-up and tear-down, in pytest",
        report.rows(measured, LABELS),
        (
            report.Column("x floor", {key: "fixture.floor" for key in LABELS if "ns" in key}),
            report.Column(
                "faster by", {f"fixture.netns{size}": f"fixture.nsname{size}" for size in ("", ".large")}, True
            ),
        ),
        None if "nsname" in times else "pyroute2's fixtures need pytest-asyncio, which is not installed",
    )


def _run_pytest(kind: str, turns: int, begin: str) -> tuple[list[float], list[float]]:
    """Return the times of the tests with the fixture and of those without.

    The first turn is left out: it starts the resident child (see resident.py), and imports pyroute2.
    """
    recorded = record(begin + "".join(TURN.format(number, kind) for number in range(turns + 1)), "-p", PLUGINS[kind])
    used, empty = ([recorded[f"test_{which}_{number}"] for number in range(1, turns + 1)] for which in (kind, "empty"))
    return used, empty


def record(suite: str, *options: str) -> dict[str, float]:
    """Run a suite; return what the set-up and the tear-down of each test took, by its name."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "pytest.ini").write_text("[pytest]\n")
        tests = directory / "test_recorded.py"
        tests.write_text(suite)
        result = directory / "result.json"
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", name, str(tests)]
        command += ["-p", "trials.bench.recorder", *options]
        environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", recorder.RESULT: str(result)}
        environment.pop("PYTEST_ADDOPTS", None)
        run = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True)
        if run.returncode:
            raise RuntimeError(f"the recorded tests failed:\n{run.stdout}")
        recorded: dict[str, float] = json.loads(result.read_text())
    return recorded
