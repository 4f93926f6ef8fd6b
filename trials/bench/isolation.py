"""What a test pays that runs isolated: empty tests, in runs of pytest with each way of isolation in turns."""

from __future__ import annotations

import collections

from . import report
from .fixtures import record
from .timing import Sample

WAYS = ("off", "worker", "test")
LABELS = {
    "isolation.off": "a test that is not",
    "isolation.worker": "--netns-isolate=worker",
    "isolation.test": "--netns-isolate=test",
    "isolation.cost.worker": "more than one that is not: worker",
    "isolation.cost.test": "more than one that is not: test",
}


def section(quick: bool) -> report.Section:
    """Measure in several runs; a difference is one between two runs that follow each other."""
    turns = 5 if quick else 100
    suite = "".join(f"def test_{number}(): pass\n" for number in range(turns + 1))
    times: dict[str, list[float]] = collections.defaultdict(list)
    for _ in range(1 if quick else 8):
        medians = {}
        for way in WAYS:
            recorded = record(suite, "-p", "pytest_netns.plugin", f"--netns-isolate={way}")
            # The first test is left out: it starts the resident child.
            sample = Sample.of([recorded[f"test_{number}"] for number in range(1, turns + 1)])
            times[f"isolation.{way}"].append(sample.median)
            medians[way] = sample.median
        for way in WAYS[1:]:
            times[f"isolation.cost.{way}"].append(medians[way] - medians["off"])
    measured = {key: Sample.of(values) for key, values in times.items()}
    return report.Section("set-up and tear-down of an empty test, isolated or not", report.rows(measured, LABELS))
