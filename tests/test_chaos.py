"""The short form of the chaos run, and that it can fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
KINDS = ["controller", "worker", "resident child", "mode child", "command", "pytest and its resident child"]


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_left(kind: str) -> None:
    ended = run("-m", "chaos", "--rounds=2", "--seed=1", f"--kill={kind}")
    assert ended.returncode == 0, ended.stdout
    assert f"{kind}: " in ended.stdout


LEAVING_A_PROCESS = """
import subprocess
import sys

sys.path.insert(0, ".")
sys.argv = ["chaos", "--seed=1", "--round=3", "--kill=command"]
from chaos import __main__, round

unexpected = round.Round._unexpected

def leave_a_process(self, code):
    subprocess.Popen(["sleep", "1000"], env={"CHAOS_TOKEN": self._token, "PATH": "/usr/bin:/bin"})
    return unexpected(self, code)

round.Round._unexpected = leave_a_process
raise SystemExit(__main__.main())
"""


def test_what_is_left_is_named_with_how_to_see_it_again() -> None:
    ended = run("-c", LEAVING_A_PROCESS)
    assert ended.returncode == 1
    assert "again with: python -m chaos --seed 1 --round 3" in ended.stdout
    assert "(sleep 1000)" in ended.stdout
