"""Times of things that are done in turns, and what is kept of them."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


def _nothing(_: object) -> None:
    pass


@dataclass(frozen=True)
class Case:
    """One thing to time.

    :param run: what is timed.
    :param after: what is done with its value, out of the time that counts.
    :param in_a_row: how often it runs in each round, each run timed by itself. More than once for what is fast: after a
        fork, a process takes a page fault for each page that it writes first, which is the fork's cost and would
        otherwise be booked on whatever comes next.
    """

    key: str
    run: Callable[[], Any]
    after: Callable[[Any], object] = _nothing
    in_a_row: int = 1


@dataclass(frozen=True)
class Sample:
    """What was measured: the median, the quartiles and how many values there were; times are in seconds."""

    median: float
    low: float
    high: float
    count: int
    unit: str = "s"

    @classmethod
    def of(cls, values: Sequence[float], unit: str = "s") -> Sample:
        low, median, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [*values] * 3
        return cls(median, low, high, len(values), unit)

    def per(self, number: int) -> Sample:
        """Return the sample of one of ``number`` things that were done at once."""
        return Sample(self.median / number, self.low / number, self.high / number, self.count, self.unit)


def interleave(cases: Sequence[Case], rounds: int) -> dict[str, list[float]]:
    """Run the cases in turns, so that a drift of the machine's speed meets them all alike.

    Each round has an order of its own, drawn by lot with a fixed seed, since what a case leaves behind (page faults, a
    namespace to free) is paid by the next one. A first round is not counted: it pays for imports and caches. The
    garbage collector stays on, as it is in a test run.

    :return: for each case its times in seconds.
    """
    times: dict[str, list[float]] = {case.key: [] for case in cases}
    lot = random.Random(0)
    for turn in range(rounds + 1):
        for case in lot.sample(cases, len(cases)):
            for _ in range(case.in_a_row):
                began = time.perf_counter()
                value = case.run()
                took = time.perf_counter() - began
                case.after(value)
                if turn > 0:
                    times[case.key].append(took)
    return times


def samples(times: dict[str, list[float]]) -> dict[str, Sample]:
    """Return the sample of each list of times."""
    return {key: Sample.of(values) for key, values in times.items()}
