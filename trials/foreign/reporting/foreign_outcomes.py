"""A plugin of pytest that writes down what became of each test; a run of a suite gets it by ``-p foreign_outcomes``."""

from __future__ import annotations

import json
import os

import pytest


class Outcomes:
    """Writes a line of JSON for each phase of a test that is the last one, or did not pass."""

    def __init__(self, path: str) -> None:
        self._path = path

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown" or not report.passed:
            self._write(report, str(report.when), "xfailed" if hasattr(report, "wasxfail") else report.outcome)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._write(report, "collect", report.outcome)

    def _write(self, report: pytest.TestReport | pytest.CollectReport, when: str, outcome: str) -> None:
        reason = report.longreprtext.strip().rpartition("\n")[2] if report.failed else ""
        crash = getattr(getattr(report.longrepr, "reprcrash", None), "message", reason)
        with open(self._path, "a", encoding="utf-8") as file:
            file.write(json.dumps([report.nodeid, when, outcome, str(crash)[:500]]) + "\n")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):  # workers report to their controller
        config.pluginmanager.register(Outcomes(os.environ["FOREIGN_OUTCOMES"]))
