"""Runs a failed test again, up to three times, and says so as pytest-rerunfailures does."""

import pytest
from _pytest.runner import runtestprotocol


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item, nextitem):
    for attempt in range(1, 4):
        reports = runtestprotocol(item, nextitem=nextitem, log=False)
        has_failed = any(report.failed for report in reports)
        for report in reports:
            report.outcome = "rerun" if report.failed and attempt < 3 else report.outcome
            item.ihook.pytest_runtest_logreport(report=report)
        if not has_failed:
            break
    return True


def pytest_report_teststatus(report):
    return ("rerun", "R", "RERUN") if report.outcome == "rerun" else None
