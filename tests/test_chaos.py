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


WITHOUT_THE_NEXT_START = """
import sys

sys.path.insert(0, ".")
sys.argv = ["chaos", "--seed=1", "--round=3", "--kill=pytest and its resident child"]
from chaos import __main__, round

start = round.Round._start

def start_or_not(self, output, suite, *options):
    return start(self, output, suite, *options, *(["--collect-only"] if suite == "next.py" else []))

round.Round._start = start_or_not
round.CLEAN = 0.1
raise SystemExit(__main__.main())
"""


def test_what_is_left_is_named_with_how_to_see_it_again(tmp_path: Path) -> None:
    ended = run("-c", WITHOUT_THE_NEXT_START)
    assert ended.returncode == 1
    assert "again with: python -m chaos --seed 1 --round 3" in ended.stdout
    assert "  name chaos-1-3-" in ended.stdout
    assert "  process " in ended.stdout
    # It goes with the next start.
    (tmp_path / "test_next.py").write_text("def test_next(netns): pass")
    ended = run("-m", "pytest", "-p", "no:cacheprovider", "-c", "/dev/null", str(tmp_path / "test_next.py"))
    assert ended.returncode == 0, ended.stdout
    assert not [*Path("/run/netns").glob("chaos-1-3-*")]
