"""What a run says once, in the summary of its warnings."""

from __future__ import annotations

import warnings

import pytest

from .._errors import is_meant

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


def notice(config: pytest.Config, text: str, nodeid: str = "") -> None:
    """Warn of something that is no fault of the test which runs, and is no error where warnings are errors."""
    # Not by warnings.warn, which raises there, and which a test may have replaced.
    message = warnings.WarningMessage(pytest.PytestWarning(text), pytest.PytestWarning, __file__, 0)
    config.hook.pytest_warning_recorded.call_historic(
        kwargs={"warning_message": message, "when": "runtest", "nodeid": nodeid, "location": None}
    )
