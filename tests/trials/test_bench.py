"""The benchmarks run; what they measure is for a quiet machine to say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.helpers import named_namespaces

pytestmark = pytest.mark.slow


def test_every_section_runs_and_leaves_nothing(tmp_path: Path) -> None:
    numbers = tmp_path / "numbers.json"
    command = [sys.executable, "-m", "trials.bench", "--quick", "--json", str(numbers)]
    run = subprocess.run(command, cwd=Path(__file__).parents[2], check=True, capture_output=True, text=True)
    assert "-- promises --" in run.stdout
    assert json.loads(numbers.read_text())
    assert [name for name in named_namespaces() if name.startswith("bench-")] == []
