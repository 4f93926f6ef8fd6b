"""The short form of the soak, and that it can fail."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LEAK = """
import os
import pytest

@pytest.mark.soak(1000)
def test_leak(netns):
    os.dup(netns.fileno())
"""


def soak(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trials.soak", "--begin=80", "--every=10", *options]
    return subprocess.run(command, cwd=ROOT, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def test_nothing_grows(tmp_path: Path) -> None:
    ended = soak("--tests=400", f"--svg={tmp_path / 'soak.svg'}")
    assert ended.returncode == 0, ended.stdout
    assert "gw1: descriptors of the resident child" in ended.stdout
    assert (tmp_path / "soak.svg").read_text().count("<polyline") == 17


def test_what_grows_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = tmp_path / "suite.py"
    suite.write_text(LEAK)
    monkeypatch.setenv("PYTEST_ADDOPTS", "--netns-leaks=ignore")
    ended = soak("--tests=400", f"--suite={suite}")
    assert ended.returncode == 1, ended.stdout
    for quantity in ("descriptors", "namespaces"):
        # Of one of the workers: on a busy machine the other one may start late, and have few tests.
        assert re.search(rf"^.*gw\d: {quantity} .*GREW", ended.stdout, re.MULTILINE), ended.stdout
