"""Runs a suite, and returns what its reports say of the network."""

from __future__ import annotations

import json

import pytest

from tests.support.suites import read_suite

Sections = dict[tuple[str, str], list[str]]
"""What reports say, by the name of the test and the step that failed."""


def run(pytester: pytest.Pytester, suite: str, *options: str) -> Sections:
    """Return the sections ``network`` of those that fail."""
    pytester.makeconftest(read_suite(__file__, "collecting"))
    pytester.makepyfile(suite)
    monkeypatch = pytest.MonkeyPatch()
    with monkeypatch.context() as context:
        context.delenv("PYTEST_XDIST_WORKER", raising=False)  # of the run that this test is in
        pytester.runpytest_subprocess(*options)
    found = json.loads(pytester.path.joinpath("sections.json").read_text())
    return {(name, when): texts for name, when, texts in found}
