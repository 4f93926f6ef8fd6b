"""Run it: ``python -m foreign``, for all suites, or ``python -m foreign NAME ...``."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tarfile
import tempfile
import time
import venv
import xml.etree.ElementTree
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
TIME_LIMIT = 600  # seconds for one run of a suite
PLUGINS = ["pytest-xdist", "pytest-asyncio", "pytest-cov", "pytest-timeout"]  # the suites name them in their options
OPTIONS = ["-q", "-p", "no:cacheprovider", "--timeout=60", "-o", "asyncio_default_fixture_loop_scope=function"]
WAYS = {
    "alone": [],
    "-n 4": ["-n4"],
    "-n 4 --netns-isolate=test": ["-n4", "--netns-isolate=test"],
}


@dataclass(frozen=True)
class Suite:
    """A source distribution that ships its tests.

    :param tests: what to run of it.
    :param needs: what it needs besides its own dependencies.
    :param without: tests that cannot pass with a loopback interface alone, and why.
    """

    name: str
    version: str
    tests: tuple[str, ...]
    needs: tuple[str, ...] = ()
    without: tuple[tuple[str, str], ...] = ()


SUITES = (
    Suite("portend", "3.2.1", ("test_portend.py",)),
    Suite("aioftp", "0.28.3", ("tests",), ("async_timeout", "siosocks", "trustme", "pytest-mock")),
    Suite("telnetlib3", "5.0.1", ("telnetlib3/tests",)),
    Suite(
        "circuits",
        "3.2.5",
        ("tests/net", "tests/web"),
        without=(("tests/net/test_tcp.py::test_tcp_lookup_failure", "asks a name server, and wants its refusal"),),
    ),
)


def outcomes(report: Path) -> dict[str, str]:
    """Return what became of each test, by its name."""
    found = {}
    for case in xml.etree.ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case} & {"failure", "error", "skipped"}
        found[f"{case.get('classname')}.{case.get('name')}"] = kinds.pop() if kinds else "passed"
    return found


def run(python: Path, suite: Suite, folder: Path, options: list[str]) -> tuple[dict[str, str], float]:
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    deselected = [f"--deselect={test}" for test, _ in suite.without]
    command = [str(python), "-m", "pytest", *OPTIONS, *options, *deselected, f"--junit-xml={report}", *suite.tests]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PYTHON"))}
    began = time.monotonic()
    done = subprocess.run(
        command, cwd=folder, env=environment, check=False, capture_output=True, text=True, timeout=TIME_LIMIT
    )
    if not report.exists():
        raise SystemExit(f"{suite.name} {' '.join(options)} did not run:\n{done.stdout}{done.stderr}")
    return outcomes(report), time.monotonic() - began


def unpack(suite: Suite, place: Path) -> tuple[Path, Path]:
    """Return a Python that has what the suite needs, and the folder of its source."""
    venv.create(place / "venv", with_pip=True)
    python = place / "venv" / "bin" / "python"
    pip = [str(python), "-m", "pip", "--quiet", "--quiet", "--disable-pip-version-check"]
    release = f"{suite.name}=={suite.version}"
    subprocess.run([*pip, "install", "--editable", str(ROOT), *PLUGINS, *suite.needs, release], check=True)
    subprocess.run([*pip, "download", "--no-deps", "--no-binary=:all:", "--dest", str(place), release], check=True)
    archive = next(place.glob("*.tar.gz"))
    with tarfile.open(archive) as file:
        file.extractall(place, filter="data")
    return python, place / archive.name.removesuffix(".tar.gz")


def judge(suite: Suite) -> bool:
    """Run a suite in each way; return whether what passes alone passes isolated."""
    with tempfile.TemporaryDirectory() as name:
        python, folder = unpack(suite, Path(name))
        found = {}
        for way, options in WAYS.items():
            found[way], took = run(python, suite, folder, options)
            counts = [f"{sum(value == kind for value in found[way].values())} {kind}" for kind in ("passed", "skipped")]
            bad = sum(value in ("failure", "error") for value in found[way].values())
            print(f"{suite.name} {suite.version}, {way}: {', '.join(counts)}, {bad} failed in {took:.0f} s", flush=True)
        alone, isolated = found["alone"], found["-n 4 --netns-isolate=test"]
        lost = [test for test, outcome in alone.items() if outcome == "passed" and isolated.get(test) != "passed"]
        for test in lost:
            print(f"  passed alone, not isolated: {test}")
        for test, why in suite.without:
            print(f"  left out: {test}: {why}")
        return bool(alone) and not lost


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m foreign", description=sys.modules["foreign"].__doc__)
    parser.add_argument("suites", nargs="*", choices=[[], *(suite.name for suite in SUITES)], metavar="NAME")
    names = parser.parse_args().suites
    verdicts = [judge(suite) for suite in SUITES if not names or suite.name in names]
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
