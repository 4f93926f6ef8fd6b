"""The files of tests from workers of pytest-xdist that have a folder of their own, to that of the controller."""

from __future__ import annotations

import posix
from collections.abc import Generator
from pathlib import Path, PurePath
from typing import Any

import pytest

from .._errors import is_meant
from .attachments import files_of
from .capture import SECTION
from .keys import captures_key, summary_key
from .ladder import write_file

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

INPUT, SENT = "netns", "netns_files"
LARGEST = 64 << 20
"""Bytes of a file that is sent, at most: it is one message, and both sides have it in memory."""
forwards_key = pytest.StashKey[set[str]]()
"""In a worker with a folder of its own: which files are sent."""


def pytest_configure(config: pytest.Config) -> None:
    given: dict[str, Any] | None = getattr(config, "workerinput", {}).get(INPUT)
    if given is not None:
        config.stash[summary_key] = given["summary"]
        if given["folder"] != _identity(config.rootpath):
            config.stash[forwards_key] = set()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a worker which folder is the controller's."""
    config = node.config
    node.workerinput[INPUT] = {"folder": _identity(config.rootpath), "summary": config.stash[summary_key]}


def _identity(folder: Path) -> str:
    """Return what no other folder has, on whichever host."""
    from .._linux import proc

    try:
        host = proc.read("/proc/sys/kernel/random/boot_id").decode().strip()
    except OSError:  # /proc is not mounted
        host = posix.uname().nodename
    found = posix.stat(folder)
    return f"{host} {found.st_dev} {found.st_ino}"


@pytest.hookimpl(wrapper=True)
def pytest_report_to_serializable(config: pytest.Config, report: object) -> Generator[None, Any, Any]:
    data = yield
    sent = config.stash.get(forwards_key, None)
    if sent is not None and data is not None and isinstance(report, pytest.TestReport):
        files = [path for _, path in files_of(report) if report.failed or path not in sent]
        sent.update(files)
        data[SENT] = {path: _content(config.rootpath / path) for path in files}
    return data


def _content(path: Path) -> bytes | str:
    """Return a file, or why it is not sent."""
    from .._linux import proc

    try:
        size = posix.stat(path).st_size
        return proc.read(str(path)) if size <= LARGEST else f"its {size:,} bytes are too many to be sent"
    except OSError as error:
        return str(error)


@pytest.hookimpl(wrapper=True)
def pytest_report_from_serializable(config: pytest.Config, data: dict[str, Any]) -> Generator[None, Any, Any]:
    sent: dict[str, bytes | str] = data.pop(SENT, {})
    report = yield
    for path, content in sent.items():
        try:
            trouble = _receive(config, report.nodeid, PurePath(path), content)
        except Exception as error:  # what is added to a report is not to change a result
            trouble = str(error)
        if trouble:
            report.sections.append((SECTION, f"{path} stays with the worker: {trouble}"))
    return report


def _receive(config: pytest.Config, nodeid: str, path: PurePath, content: bytes | str) -> str:
    if isinstance(content, str):
        return content
    # A worker on another host says which attempt and kind it is, not where in this file system it is written.
    ours = config.rootpath / config.stash[captures_key].path(nodeid, int(path.stem))
    suffix = ".html" if path.suffix == ".html" else ".pcapng"
    write_file(ours.with_suffix(suffix), content)
    return ""
