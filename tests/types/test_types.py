"""What type checkers see of the public names: which lines of ``cases.py`` are errors, and no others."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

CASES = Path(__file__).with_name("cases.py")
ROOT = Path(__file__).parents[2]
IGNORED = re.compile(r"  # type: ignore\[[\w-]+\]")


def run(*args: str | Path) -> str:
    return subprocess.run([sys.executable, "-m", *args], cwd=ROOT, check=False, capture_output=True, text=True).stdout


def errors_of_mypy(path: Path) -> list[int]:
    # Without a cache, which would name the file of the run before.
    output = run("mypy", "--cache-dir=/dev/null", "--follow-imports=silent", "--hide-error-context", path)
    return [int(line) for line in re.findall(rf"^{re.escape(str(path))}:(\d+): error: ", output, re.MULTILINE)]


def errors_of_pyright(path: Path) -> list[int]:
    report = json.loads(run("pyright", "--pythonpath", sys.executable, "--outputjson", path))
    return [found["range"]["start"]["line"] + 1 for found in report["generalDiagnostics"]]


@pytest.mark.parametrize(("checker", "errors"), [("mypy", errors_of_mypy), ("pyright", errors_of_pyright)])
def test_what_is_an_error(checker: str, errors: Callable[[Path], list[int]], tmp_path: Path) -> None:
    pytest.importorskip(checker)
    lines = CASES.read_text().splitlines()
    path = tmp_path / "cases.py"
    path.write_text("\n".join(IGNORED.sub("", line) for line in lines))
    assert sorted(set(errors(path))) == [number for number, line in enumerate(lines, 1) if IGNORED.search(line)]
