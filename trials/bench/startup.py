"""What a run of pytest pays for the plugin where it never uses it.

Whole runs of pytest with one empty test, by the wall clock, with and without the plugin in turns. No other plugin is
loaded: what another one has imported already would be free for this one, and hide its price. So as to load one alone,
pytest has to be told by -p, and then reads the entry points of all packages, so the runs without it have an empty one.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from . import report
from .timing import Case, Sample, interleave

HEAVY = ("pyroute2", "asyncio", "multiprocessing")

TEST = """\
import os, sys

def test_nothing():
    if "NETNS_BENCHMARK_MODULES" in os.environ:
        with open(os.environ["NETNS_BENCHMARK_MODULES"], "w") as file:
            file.write("\\n".join(sys.modules))
"""


class Runs:
    """Runs of pytest in a directory of their own."""

    def __init__(self, directory: Path) -> None:
        self._modules = directory / "modules"
        tests = directory / "test_nothing.py"
        tests.write_text(TEST)
        (directory / "pytest.ini").write_text("[pytest]\n")
        (directory / "plugin_of_nothing.py").touch()
        self._command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tests)]
        # Compiled code is kept, as it is on a user's machine; otherwise each run would compile the plugin again.
        dropped = ("PYTEST_ADDOPTS", "PYTHONDONTWRITEBYTECODE")
        self._environment = {name: value for name, value in os.environ.items() if name not in dropped}
        self._environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": os.fspath(directory)}

    def without(self) -> None:
        self._run("plugin_of_nothing")

    def loaded(self) -> None:
        self._run("pytest_netns.plugin")

    def _run(self, plugin: str, **environment: str) -> None:
        command = [*self._command, "-p", plugin]
        subprocess.run(command, check=True, env=self._environment | environment, stdout=subprocess.DEVNULL)

    def heavy_modules(self) -> list[str]:
        """Return which of the modules that are to load on first use a run with the plugin has loaded."""
        self._run("pytest_netns.plugin", NETNS_BENCHMARK_MODULES=str(self._modules))
        loaded = self._modules.read_text().splitlines()
        return [name for name in HEAVY if name in loaded]


def section(quick: bool) -> report.Section:
    """Measure whole runs; the difference is taken pair by pair, so that a slow moment of the machine is in both."""
    with tempfile.TemporaryDirectory() as name:
        runs = Runs(Path(name))
        cases = [Case("startup.without", runs.without), Case("startup.loaded", runs.loaded)]
        times = interleave(cases, 3 if quick else 80)
        heavy = runs.heavy_modules()
    differences = [
        loaded - without for loaded, without in zip(times["startup.loaded"], times["startup.without"], strict=True)
    ]
    measured = {key: Sample.of(values) for key, values in times.items()}
    measured |= {"startup.cost": Sample.of(differences), "startup.heavy": Sample.of([float(len(heavy))], "modules")}
    labels = {
        "startup.without": "without the plugin",
        "startup.loaded": "with the plugin, never used",
        "startup.cost": "the difference, pair by pair",
    }
    return report.Section(
        "pytest with one empty test, start to end",
        (*report.rows(measured, labels), report.Row("startup.heavy", _named(heavy), measured["startup.heavy"])),
    )


def _named(heavy: list[str]) -> str:
    return f"of {', '.join(HEAVY)} loaded: {', '.join(heavy) or 'none'}"
