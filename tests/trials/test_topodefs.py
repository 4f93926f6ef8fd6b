"""FRRouting's topologies are counted, and what is refused is named with its place."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import os

topodef = {"s1": ("r1", "r2"), "s2": "r2"}


def build(count):
    topodef = {f"s{number}": ("r1",) for number in range(3)}
    topodef = {f"s{number}": ("r1",) for number in range(count)}
    other = {"s1": ("r1", "r1:far:too:many")}
    topodef = {"s1": ("r1", "r1:far:too:many")}
    topodef = os.getcwd()
"""


@pytest.mark.parametrize("option", ["--read", None])
def test_the_count(tmp_path: Path, option: str | None) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "test_one.py").write_text(TESTS)
    (tmp_path / "test_two.py").write_text("raise SystemExit\n")
    (tmp_path / "test_three.py").write_text('topodef = {"s1": ("r1", "r2"), "s2": "r2"}\nraise SystemExit\n')
    command = [sys.executable, "-m", "trials.topodefs", *filter(None, [option]), str(tmp_path)]
    run = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert run.stdout.splitlines() == [
        "inner/test_one.py:9: made by code that is not run",
        "inner/test_one.py:11: TopologyError: 'r1:far:too:many' at 's1' has too many parts",
        "a router is written 'r1', 'r1:eth-r2' with its interface, or 'r1:eth-r2:s1-eth0' with that of the switch too",
        "inner/test_one.py:12: made by code that is not run",
        f"3 of 6 topodef dicts were {'read' if option else 'built'}",
    ]
    assert run.returncode == 1


def test_a_folder_without_any(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "trials.topodefs", str(tmp_path)]
    run = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert f"there is no topodef below {tmp_path}" in run.stderr
