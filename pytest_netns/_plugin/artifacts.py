"""What becomes of the files of tests that are recorded; a run without them does not import it."""

from __future__ import annotations

from typing import Any

import pytest

from .._errors import is_meant
from .capture import SECTION
from .keys import captures_key, settings_key

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


def pytest_configure(config: pytest.Config) -> None:
    if config.stash[settings_key].capture == "off":
        return
    from . import attachments, forwarding, summary

    for feature in (summary, attachments, forwarding):
        config.pluginmanager.register(feature, f"netns_{feature.__name__.rpartition('.')[2]}")


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem: str, report: Any) -> None:
    """Name, in the controller of pytest-xdist, what the recorder of a worker has written that crashed."""
    captures = report.node.config.stash[captures_key]
    path = "" if captures.mode == "off" else captures.left_by(crashitem)
    if path:
        report.sections.append((SECTION, f"what was recorded until then: {path}"))
