"""Runs of pytest as an ordinary user, without any capability and with a home of their own."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

UID = os.geteuid() or 65534  # who is no root is an ordinary user already
WITHOUT_CAPABILITIES = ["--bounding-set=-all", "--inh-caps=-all"]
UNPRIVILEGED = (
    [] if os.geteuid() else ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups", *WITHOUT_CAPABILITIES]
)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="what is around the run takes root")
PACKAGES = ["pytest_netns", "pytest", "_pytest", "py", "pluggy", "iniconfig", "packaging", "pygments", "pyroute2"]
XDIST = ["xdist", "execnet"]
PYTEST = ("-m", "pytest", "-p", "pytest_netns.plugin", "-p", "xdist.plugin", "-p", "no:cacheprovider")
PACKAGES_BEFORE_3_11 = ["exceptiongroup", "tomli", "typing_extensions"]
LAB = """
    import json, os, signal
    from pathlib import Path
    from pytest_netns._plugin.keys import session_key

    def test_lab(netns, pytestconfig):
        child = netns.popen(["sleep", "1000"])
        resident = pytestconfig.stash[session_key].modes.resident
        pids = dict(pytest=os.getpid(), resident=resident.pid, child=child.pid)
        Path("report.tmp").write_text(json.dumps(pids))
        os.rename("report.tmp", "report")
        signal.pause()

    def test_after(netns):
        pass
"""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder of another user, with copies of what a run needs: the originals may be where only root can look."""
    with tempfile.TemporaryDirectory(prefix="rootless-") as name:
        place = Path(name)
        place.chmod(0o755)
        (place / "packages").mkdir()
        for package in PACKAGES + XDIST + (PACKAGES_BEFORE_3_11 if sys.version_info < (3, 11) else []):
            spec = importlib.util.find_spec(package)
            assert spec is not None
            origin = Path(spec.origin or "")
            if origin.name == "__init__.py":
                folders = [origin.parent, *origin.parent.parent.glob(f"{package}-*.dist-info")]
                for folder in folders:
                    ignored = shutil.ignore_patterns("__pycache__", "entry_points.txt")
                    shutil.copytree(folder, place / "packages" / folder.name, ignore=ignored)
            else:
                shutil.copy(origin, place / "packages")
        for own in (place / "home", place / "tmp"):
            own.mkdir()
            os.chown(own, UID, UID)
        yield place


@pytest.fixture
def start(place: Path) -> Iterator[Start]:
    """Start a run of pytest as an ordinary user."""
    pythons = [python for python in (os.path.realpath(sys.executable), "/usr/bin/python3") if _may_run(python)]
    if not pythons:
        pytest.skip("there is no Python that an ordinary user may run")
    started: list[subprocess.Popen[str]] = []

    def start(
        suite: str,
        *options: str,
        program: Sequence[str] = PYTEST,
        under: Sequence[str] = (),
        user: Sequence[str] = UNPRIVILEGED,
        **env: str,
    ) -> subprocess.Popen[str]:
        (place / "home" / "test_suite.py").write_text(textwrap.dedent(suite))
        process = subprocess.Popen(
            [*under, *user, pythons[0], *program, *options],
            cwd=place / "home",
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(place / "home"),
                "PYTHONPATH": str(place / "packages"),
                "UID_OUTSIDE": str(UID),
                "PYTEST_DEBUG_TEMPROOT": str(place / "tmp"),  # in /tmp, it warns of what other runs of the user remove
                **env,
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with process:
            process.kill()


def denied(system_call: str) -> list[str]:
    """Return what to put before a command so that it may not do a system call (see ``sabotage.py``)."""
    program = (
        "import os, sys; sys.path.append(sys.argv[1]); import sabotage; "
        "sabotage.deny(sabotage.SYSTEM_CALLS[sys.argv[2]], 'EPERM'); os.execvp(sys.argv[3], sys.argv[3:])"
    )
    return [sys.executable, "-c", program, str(Path(__file__).parent), system_call]


def _may_run(python: str) -> bool:
    program = "import sys; raise SystemExit(sys.version_info < (3, 10))"
    command = ["sh", "-c", 'exec "$@"', "sh", python, "-c", program]
    return subprocess.run([*UNPRIVILEGED, *command], check=False, capture_output=True).returncode == 0
