"""The command line, and the order of the sections."""

from __future__ import annotations

import argparse
import compileall
import importlib.util
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from . import (
    captures,
    fixtures,
    growth,
    isolation,
    large,
    namespaces,
    networks,
    promises,
    report,
    resident,
    sockets,
    startup,
)
from .report import Section

# Sockets come first: pyroute2 makes them faster once namespaces.py has had it remove a namespace (see sockets.py).
# Growth comes last: the kernel is busy for a while with the thousand namespaces that it leaves.
SECTIONS: tuple[Callable[[bool], Section], ...] = (
    sockets.section,
    large.section,
    sockets.many_section,
    namespaces.section,
    networks.pair_section,
    networks.reset_section,
    networks.large_section,
    fixtures.section,
    isolation.section,
    captures.section,
    resident.section,
    startup.section,
    growth.section,
)


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m trials.bench", description="Measure pytest-netns beside pyroute2.")
    parser.add_argument("--quick", action="store_true", help="few rounds: to see that all of it runs, not to quote")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers to FILE")
    parser.add_argument("--check", action="store_true", help="exit with status 1 where a promise is missed")
    options = parser.parse_args(arguments)
    if os.geteuid() != 0:
        parser.error("namespaces need privileges: run it as root")
    _raise_descriptor_limit()

    _compile()
    began = time.monotonic()
    machine = report.machine()
    print(report.heading(machine, options.quick), flush=True)
    sections = []
    for measure in SECTIONS:
        sections.append(measure(options.quick))
        print(f"\n{sections[-1]}", flush=True)
    samples = {row.key: row.sample for section in sections for row in section.rows}
    judged = promises.judge(samples, options.quick)
    print(f"\n{promises.table(judged)}")
    print(f"\n{time.monotonic() - began:.0f} s in all")
    if options.json is not None:
        written = {"machine": machine, "quick": options.quick}
        written |= {"sections": [section.as_data() for section in sections]}
        written |= {"promises": [verdict.as_data() for verdict in judged]}
        options.json.write_text(json.dumps(written, indent=2) + "\n")
    missed = any(verdict.kept is False for verdict in judged)
    return 1 if missed and options.check else 0


def _compile() -> None:
    """Compile the package, as pip does with what it installs; else, with PYTHONDONTWRITEBYTECODE, each child would."""
    spec = importlib.util.find_spec("pytest_netns")
    for path in spec.submodule_search_locations or () if spec else ():
        compileall.compile_dir(path, quiet=1)


def _raise_descriptor_limit() -> None:
    """Have room for a thousand namespaces and a thousand sockets, where the hard limit allows it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (ValueError, OSError) as error:
        print(f"the limit of open files stays as it is: {error}", file=sys.stderr)
