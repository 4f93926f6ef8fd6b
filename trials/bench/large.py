"""A socket in a process of one gigabyte, where the modes that fork pay for its page tables.

``python -m trials.bench.large ROUNDS MEGABYTES`` is that process: one of its own, so that the memory goes with it.
"""

from __future__ import annotations

import gc
import json
import subprocess
import sys

from . import report
from .peers import pyroute2_children, resident_memory
from .sockets import FASTER, LABELS, columns, named_namespace, of_fork_cases, prefixed
from .timing import interleave, samples

MEGABYTES = 1024
MEGABYTES_QUICK = 200


def fill(megabytes: int) -> list[object]:
    """Return small objects, until the process has that much memory.

    Many small ones, as a test run has them: one large ``bytearray`` may lie on huge pages, and then forks fast.
    """
    heap: list[object] = []
    gc.disable()  # or it would look at all of them again and again
    while resident_memory() < megabytes:
        heap.append([(number, str(number)) for number in range(100_000)])
    gc.enable()
    gc.collect()
    return heap


def section(quick: bool) -> report.Section:
    """Measure one socket in a process of a gigabyte, or of less where it is just to be seen that it runs."""
    rounds, megabytes = (5, MEGABYTES_QUICK) if quick else (60, MEGABYTES)
    command = [sys.executable, "-m", "trials.bench.large", str(rounds), str(megabytes)]
    times = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    return report.Section(
        f"a socket, in a process of {megabytes:,} MB of small objects",
        report.rows(samples(times), prefixed("large", LABELS)),
        columns("large", FASTER, LABELS),
    )


def main(rounds: int, megabytes: int) -> None:
    heap = fill(megabytes)
    with named_namespace() as ns, pyroute2_children("fork"):
        times = interleave(of_fork_cases(ns, "large"), rounds)
    del heap
    json.dump(times, sys.stdout)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
