"""What a new user is told to do passes for an ordinary user as it is printed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.project.test_docs_code import PROJECT, SNIPPETS, python_of_the_readme
from tests.support.ordinary_user import Start, place, start  # noqa: F401 - fixtures

TUTORIAL = sorted((SNIPPETS / "tutorial").glob("test_*.py"))
RECIPES = sorted((SNIPPETS / "recipes").glob("test_*.py"))


@pytest.mark.ordinary_user
@pytest.mark.parametrize("file", [*TUTORIAL, PROJECT / "README.md"], ids=lambda path: path.stem)
def test_passes_for_an_ordinary_user(start: Start, file: Path) -> None:
    shown = python_of_the_readme() if file.suffix == ".md" else file.read_text()
    with start(shown, "-W", "error") as run:
        report, _ = run.communicate()
    assert run.returncode == 0, report
    assert "skipped" not in report


@pytest.mark.slow
@pytest.mark.ordinary_user
@pytest.mark.parametrize("userns", ["process", "resident"])
@pytest.mark.parametrize("file", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_passes_for_an_ordinary_user(start: Start, file: Path, userns: str) -> None:
    with start(file.read_text(), "-W", "error", "-rs", f"--netns-userns={userns}") as run:
        report, _ = run.communicate()
    assert run.returncode == 0, report
    if " passed" not in report:  # what it needs is not on every machine
        assert re.search("SKIPPED .*(install|run it as root|this machine lacks)", report)
