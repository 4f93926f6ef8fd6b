"""The summary of a job on GitHub: the ladders of tests that failed, also where another attempt has passed."""

from __future__ import annotations

import html
from os import environ
from typing import Any

import pytest

from .._errors import is_meant
from .attachments import TITLES, files_of
from .evidence import TITLE
from .keys import summary_key
from .ladder import SEQUENCE

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

VARIABLE = "GITHUB_STEP_SUMMARY"
MOST = 20
"""Tests that it shows."""
LIMIT = 1 << 20
"""Bytes of a summary; GitHub shows nothing of one that is larger."""
RERUN: str = "rerun"
"""The outcome of an attempt that has failed, as pytest-rerunfailures has it."""
RESERVE = 1 << 10
"""Bytes for what is left out, and for what comes after it."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    is_worker = hasattr(config, "workerinput")  # whose controller says what it wants
    path = "" if is_worker else environ.get(VARIABLE, "")
    config.stash[summary_key] = bool(path)
    if path:
        config.pluginmanager.register(Summary(path), "netns_summary_file")


class Summary:
    """Appends to the file that GitHub shows.

    :param path: where it is.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._tests: list[str] = []
        self._left_out = 0
        self._again: dict[str, list[pytest.TestReport]] = {}  # the attempts that have failed, by the names of tests

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.outcome == RERUN:
            self._again.setdefault(report.nodeid, []).append(report)
        elif report.failed:
            self._again.pop(report.nodeid, None)
            self._add(report)
        elif report.when == "call" and report.nodeid in self._again:
            failed = self._again.pop(report.nodeid)
            self._add(failed[-1], f" failed, and passed in attempt {len(failed) + 1}")

    def _add(self, report: pytest.TestReport, note: str = "") -> None:
        diagram = getattr(report, SEQUENCE, "")
        if diagram and len(self._tests) < MOST:
            self._tests.append(_entry(report, diagram, note))
        elif diagram:
            self._left_out += 1

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        if not self._tests:
            return
        try:
            self._append()
        except OSError as error:
            terminalreporter.write_line(f"netns: no summary for GitHub: {error}")

    def _append(self) -> None:
        with open(self._path, "ab") as file:
            room = LIMIT - RESERVE - file.tell()
            parts = ["\n### What crossed the network in tests that failed\n\n"]
            for text in self._tests:
                room -= len(text.encode())
                if room >= 0:
                    parts.append(text)
            left_out = self._left_out + len(self._tests) - (len(parts) - 1)
            if left_out:
                parts.append(f"{left_out} more: see the reports of these tests.\n")
            file.write("".join(parts).encode())


def _entry(report: pytest.TestReport, diagram: str, note: str) -> str:
    network = "\n".join(text for title, text in report.sections if title == TITLE)
    first = network.partition("\n")[0] if network.startswith(("why:", "meanwhile:")) else ""
    files = "<br/>".join(f"{TITLES[what]}: <code>{_text(path)}</code>" for what, path in files_of(report))
    # In HTML up to an empty line, so that nothing in a name is taken for Markdown.
    return (
        f"<details><summary><code>{_text(report.nodeid)}</code>{note}</summary>\n"
        f"<p>{_text(first)}</p>\n\n```mermaid\n{diagram}\n```\n\n<p>{files}</p>\n</details>\n\n"
    )


def _text(text: str) -> str:
    return html.escape(" ".join(text.split()))
