"""Why a test failed: each cause is provoked, and said first."""

from __future__ import annotations

import ast
import fnmatch

import pytest

from tests.report import sections
from tests.support.suites import read_suite

SUITE = read_suite(__file__, "causes")


def docstrings(suite: str) -> dict[str, str]:
    """Return the docstrings of the tests of a suite that have one."""
    functions = [
        node for node in ast.parse(suite).body if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    return {node.name: text for node in functions if (text := ast.get_docstring(node)) is not None}


@pytest.mark.slow
def test_each_cause_is_in_the_first_line(pytester: pytest.Pytester) -> None:
    found = sections.run(pytester, SUITE)
    wrong = []
    for name, text in docstrings(SUITE).items():
        said = found.get((name, "call"), [])
        first = said[0].splitlines()[0] if said else "nothing"
        if not fnmatch.fnmatchcase(first, f"why: {text}"):
            wrong.append(f"{name}\n  expected why: {text}\n  found    {first}")
    assert not wrong, "\n".join(wrong)
