"""Write what the reports of ``docs/snippets/failures`` say of the network, each into a file beside the test.

The tests there fail on purpose. Run as ``python docs/failures.py``, or ``make pages``.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FAILING = Path(__file__).resolve().parent / "snippets" / "failures"
SECTION = re.compile(r"^-+ network -+\n(.*?)^[-=]{5,}", re.MULTILINE | re.DOTALL)
PORT = re.compile(r"(?<=:)[345]\d{4}\b|6[0-5]\d{3}\b")
"""One that the kernel picks, another one in each run."""


def tests() -> list[Path]:
    """Return the tests that fail."""
    return sorted(path for path in FAILING.glob("*.py") if not path.name.startswith("test_"))


def report(test: Path) -> str:
    """Run a test that fails, and return the section ``network`` of its report."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "pytest.ini").write_text("[pytest]\n")
        shutil.copy(test, folder)
        command = [sys.executable, "-m", "pytest", "-p", "no:asyncio", test.name]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    found = SECTION.search(done.stdout)
    if found is None:
        raise SystemExit(f"{test.name} has no section about the network:\n{done.stdout}{done.stderr}")
    return PORT.sub("40000", found[1].partition("\n\n")[0] + "\n")  # behind it is the drawing of the network


if __name__ == "__main__":
    for test in tests():
        test.with_suffix(".txt").write_text(report(test))
