"""The resident child: its memory, and what the first namespace of a session costs more than the next ones."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from pytest_netns._netns.factory import Session

from . import report
from .peers import resident_memory
from .timing import Sample

SOCKETS_BEFORE = 200  # it is measured at work, not fresh


def section(quick: bool) -> report.Section:
    """Measure fresh sessions, and beside each an interpreter that starts in the same way and does nothing."""
    first, steady, bare, memory = [], [], [], []
    for _ in range(3 if quick else 25):
        began = time.perf_counter()
        session = Session()
        session.namespace()
        first.append(time.perf_counter() - began)
        steady.append(statistics.median(_next_namespaces(session)))
        with session.namespace() as ns:
            for _ in range(SOCKETS_BEFORE):
                ns.socket().close()
        pid = session.modes.resident.pid
        assert pid is not None
        memory.append(resident_memory(pid))
        session.close()
        began = time.perf_counter()
        subprocess.run([sys.executable, "-I", "-S", "-c", ""], check=True)
        bare.append(time.perf_counter() - began)
    measured = {
        "resident.first": Sample.of(first),
        "resident.steady": Sample.of(steady),
        "resident.start": Sample.of([one - other for one, other in zip(first, steady, strict=True)]),
        "resident.bare": Sample.of(bare),
        "resident.memory": Sample.of(memory, "MB"),
    }
    labels = {
        "resident.first": "a session and its first namespace",
        "resident.steady": "a further namespace",
        "resident.start": "the difference: the start of the child",
        "resident.bare": "python -I -S, started and ended: the floor",
        "resident.memory": "memory of the child (VmRSS)",
    }
    return report.Section(
        "the resident child",
        report.rows(measured, labels),
        (report.Column("x floor", {"resident.start": "resident.bare"}),),
    )


def _next_namespaces(session: Session) -> list[float]:
    times = []
    for _ in range(9):
        began = time.perf_counter()
        session.namespace()
        times.append(time.perf_counter() - began)
    return times
