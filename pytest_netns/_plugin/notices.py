"""What a run says once, in the summary of its warnings."""

from __future__ import annotations

import warnings

import pytest

__tracebackhide__ = True  # a failed test's report ends in the test; --full-trace shows the rest


def notice(config: pytest.Config, text: str, nodeid: str = "") -> None:
    """Warn of something that is no fault of the test which runs, and is no error where warnings are errors."""
    # Not by warnings.warn, which raises there, and which a test may have replaced.
    message = warnings.WarningMessage(pytest.PytestWarning(text), pytest.PytestWarning, __file__, 0)
    config.hook.pytest_warning_recorded.call_historic(
        kwargs={"warning_message": message, "when": "runtest", "nodeid": nodeid, "location": None}
    )
