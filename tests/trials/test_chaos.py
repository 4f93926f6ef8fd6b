"""The short form of the chaos run, and that it can fail."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.ordinary_user import Start, place, start

__all__ = ["place", "start"]  # fixtures

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
KILLED = ["controller", "worker", "resident child", "mode child", "command", "pytest and its resident child"]
PATIENT = "--within=60"  # seconds, and not the two that an idle machine has
BESIDE = ["recorder", "witness"]
DISTURBED = ["Ctrl-C", "alarm", "descriptors", "namespaces", "full", "read-only"]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("kind", KILLED + BESIDE + DISTURBED)
def test_nothing_is_left(kind: str) -> None:
    ended = run("-m", "trials.chaos", "--rounds=2", "--seed=1", PATIENT, f"--kind={kind}")
    assert ended.returncode == 0, ended.stdout
    assert f"{kind}: " in ended.stdout


@pytest.mark.parametrize("kind", ["controller", "resident child", *BESIDE, *DISTURBED, "processes"])
def test_nothing_of_an_ordinary_user_is_left(place: Path, start: Start, kind: str) -> None:
    trials = place / "packages" / "trials"
    shutil.copytree(ROOT / "trials" / "chaos", trials / "chaos", dirs_exist_ok=True)
    shutil.copy(ROOT / "trials" / "__init__.py", trials)
    chaos = ["-m", "trials.chaos", "--rounds=2", "--seed=5", PATIENT, f"--kind={kind}"]
    out, _ = (ended := start("", program=chaos, PYTEST_PLUGINS="pytest_netns.plugin,xdist.plugin")).communicate()
    assert ended.returncode == 0, out
    assert f"{kind}: " in out


LEAVING_A_PROCESS = """
import subprocess
import sys

sys.path.insert(0, ".")
sys.argv = ["chaos", "--seed=1", "--round=3", "--kind=command"]
from trials.chaos import __main__, strikes

wrong = strikes.Kill.wrong

def leave_a_process(self, run):
    subprocess.Popen(["sleep", "1000"], env={"CHAOS_TOKEN": run.token, "PATH": "/usr/bin:/bin"})
    return wrong(self, run)

strikes.Kill.wrong = leave_a_process
raise SystemExit(__main__.main())
"""

FAILING_WITHOUT_A_REASON = """
import sys

sys.path.insert(0, ".")
sys.argv = ["chaos", "--seed=1", "--round=3", "--kind=read-only"]
from trials.chaos import __main__, run

told = run.Run.told
run.Run.told = lambda self, kind: ["test_lab[0] call: KeyError(1)"] if kind == "unclear" else told(self, kind)
raise SystemExit(__main__.main())
"""


KEEPING_MORE_THAN_IS_SAID = """
import sys

sys.path.insert(0, ".")
sys.argv = ["chaos", "--seed=1", "--round=3", "--kind=alarm"]
from trials.chaos import __main__, evidence

evidence.Evidence.drawn = lambda *_, **__: evidence.Evidence("failed", True)
evidence.SAID = evidence.re.compile("nothing is")
raise SystemExit(__main__.main())
"""


def test_what_is_kept_without_a_word_is_wrong() -> None:
    ended = run("-c", KEEPING_MORE_THAN_IS_SAID)
    assert ended.returncode == 1
    assert "kept, and not said: " in ended.stdout


def test_what_is_left_is_named_with_how_to_see_it_again() -> None:
    ended = run("-c", LEAVING_A_PROCESS)
    assert ended.returncode == 1
    assert "again with: python -m trials.chaos --seed 1 --round 3 --kind='command'" in ended.stdout
    assert "(sleep 1000)" in ended.stdout


def test_what_says_nothing_clear_is_wrong() -> None:
    ended = run("-c", FAILING_WITHOUT_A_REASON)
    assert ended.returncode == 1
    assert "unclear: test_lab[0] call: KeyError(1)" in ended.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user has a limit of processes")
def test_what_takes_an_ordinary_user_is_refused() -> None:
    ended = run("-m", "trials.chaos", "--kind=processes")
    assert ended.returncode == 2
    assert "--kind=processes takes an ordinary user" in ended.stdout
