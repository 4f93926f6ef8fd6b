"""Run it: ``python -m trials.soak``."""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
from pathlib import Path

from . import report

HERE = Path(__file__).parent


def run(suite: Path, into: Path, *, tests: int, workers: int, seed: int, every: int) -> None:
    into.mkdir()
    options = [f"--soak-tests={tests}", f"--soak-seed={seed}", f"--soak-every={every}", f"--soak-into={into}"]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "trials.soak.recorder",
        "-p",
        "no:cacheprovider",
        "-p",
        "no:randomly",
    ]
    # Without the settings and the conftest.py of the project's own tests.
    command += [
        "-c",
        "/dev/null",
        "--rootdir",
        str(HERE),
        "--confcutdir",
        str(suite.parent),
        f"-n{workers}",
        "--no-header",
        *options,
        str(suite),
    ]
    ended = subprocess.run(command, cwd=HERE.parents[1], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(ended.stdout.strip().splitlines()[-1])
    if ended.returncode:
        raise SystemExit("\n".join(ended.stdout.splitlines()[-200:]))


def slope(found: dict[str, report.Samples], begin: int) -> float:
    """Return what pytest keeps of a test, in MB, as the worst of the workers of the control has it."""
    slopes = [0.0]
    for points in found["memory"].values():
        counted = [point for point in points if point[0] >= begin]
        if len(counted) > 1:  # a worker that starts late finds few tests of the control left
            (first, before), (last, after) = counted[0], counted[-1]
            slopes.append((after - before) / (last - first))
    return max(slopes)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m trials.soak", description=sys.modules["trials.soak"].__doc__)
    parser.add_argument("--tests", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--begin", type=int, default=500, help="the test of a worker from which on nothing may grow")
    parser.add_argument("--every", type=int, default=25, help="tests between two samples")
    parser.add_argument("--seed", type=int, default=random.randrange(10_000))
    parser.add_argument("--suite", type=Path, default=HERE / "suite.py")
    parser.add_argument("--svg", type=Path, help="where to draw it")
    options = parser.parse_args()
    chosen = {"tests": options.tests, "workers": options.workers, "every": options.every, "seed": options.seed}
    print(f"--seed={options.seed}")
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        run(HERE / "control.py", Path(folder, "control"), **chosen)
        run(options.suite, Path(folder, "soak"), **chosen)
        control, found = report.read(Path(folder, "control")), report.read(Path(folder, "soak"))
    kept = slope(control, options.begin)
    print(f"pytest itself keeps {kept * 1e6:.0f} bytes of a test; from test {options.begin} on, first and last third:")
    grown = list(report.growths(found, options.begin, kept))
    for growth in grown:
        print(" ", growth)
    if options.svg is not None:
        found["memory"][report.CONTROL] = control["memory"]["gw0"]
        title = f"{options.tests:,} tests in {options.workers} workers of pytest-xdist"
        options.svg.write_text(report.picture(found, options.begin, title))
    return int(any(growth.is_too_much for growth in grown))


if __name__ == "__main__":
    raise SystemExit(main())
