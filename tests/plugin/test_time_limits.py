"""The section ``network`` of a test that pytest-timeout ends by its method ``thread``: that ends, and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.suites import read_suite

pytest.importorskip("pytest_timeout")
pytestmark = pytest.mark.slow

SUITE = read_suite(__file__, "time_limits")


def run(folder: Path, names: str, *options: str) -> subprocess.CompletedProcess[str]:
    folder.joinpath("test_it.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:randomly", "-p", "no:asyncio", "-s"]
    command += ["--timeout=3000", "--timeout-method=thread", "-k", names, "test_it.py", *options]
    return subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True)


def test_it_ends_though_the_look_cannot_be_finished(tmp_path: Path) -> None:
    ended = run(tmp_path, "test_holds_a_lock", "--netns-child-timeout=4")
    assert ended.returncode == 1
    assert "Timeout" in ended.stderr + ended.stdout
    assert "as it was at its time-out" not in ended.stderr


def test_nothing_is_told_while_it_is_debugged(tmp_path: Path) -> None:
    ended = run(tmp_path, "test_is_debugged")
    assert ended.returncode == 0, ended.stdout
    assert "network of" not in ended.stderr


def test_timers_of_others_are_left_alone(tmp_path: Path) -> None:
    ended = run(tmp_path, "test_before or test_has_another_timer")
    assert ended.returncode == 0, ended.stdout
    assert "the other timer" in ended.stdout
    assert "network of" not in ended.stderr


def test_without_namespaces_there_is_nothing_to_tell(tmp_path: Path) -> None:
    ended = run(tmp_path, "test_without_namespaces")
    assert ended.returncode == 1
    assert "network of" not in ended.stderr
