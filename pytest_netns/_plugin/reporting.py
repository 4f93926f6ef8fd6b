"""What is added to the reports of tests: why a failed one had no network, and what ended commands had written."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Generator, Iterator
from types import FrameType, TracebackType

import pytest

from .._errors import is_meant, says_all
from .keys import originals_key, scope_key, session_key, wanted_key
from .leaks import uses_namespaces
from .topologies import drawings

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

OURS = ("pytest_netns", "pyroute2")
FRAMEWORK = ("_pytest", "pluggy")

failed_setup_key = pytest.StashKey[pytest.TestReport]()


def shows_failure(item: pytest.Item, report: pytest.TestReport) -> bool:
    """Whether a report shows how a test failed; ``--xfail-tb`` shows it of one that was expected to."""
    is_expected = report.skipped and hasattr(report, "wasxfail")
    return report.failed or (is_expected and bool(item.config.getoption("xfail_tb", False)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    if call.excinfo is not None and uses_namespaces(getattr(item, "fixturenames", ())):
        _shorten(item.config, call.excinfo)
    report = yield
    if report.when == "setup" and report.failed:
        item.stash[failed_setup_key] = report
    if shows_failure(item, report) and call.excinfo is not None:
        sections: list[tuple[str, str]] = []
        with _said_if_it_fails("netns", sections):
            sections += [("netns", text) for text in _explain(item, report, call.excinfo.value)]
        with _said_if_it_fails("network", sections):
            sections += [("network", text) for text in _network(item)]
        report.sections += sections
    return report


@contextlib.contextmanager
def _said_if_it_fails(title: str, sections: list[tuple[str, str]]) -> Iterator[None]:
    """Add a section to a report about what fails in a block: what is added to a report is not to change a result."""
    try:
        yield
    except Exception as error:
        sections.append((title, f"what is to stand here cannot be told: {error!r}"))


def _network(item: pytest.Item) -> Iterator[str]:
    """Yield what a report says of the networks that a test uses."""
    text = "\n\n".join(drawings(item))
    if text:
        yield text


def _shorten(config: pytest.Config, excinfo: pytest.ExceptionInfo[BaseException]) -> None:
    """End the traceback of an error of the system, or of pyroute2, where the test has called one of us.

    What follows are hundreds of lines of subprocess, or of pyroute2 and asyncio.
    """
    if config.getoption("fulltrace", False) or not says_all(excinfo.value):
        return
    last: TracebackType | None = None
    following: TracebackType | None = excinfo.tb
    while following is not None:
        if not _is_beneath(following.tb_frame):
            last = following
        following = following.tb_next
    if last is None or last.tb_next is None or _package(last.tb_frame) in FRAMEWORK:
        return  # of a fixture of ours there would be nothing left
    if _package(last.tb_next.tb_frame) in OURS:
        last.tb_next = None


def _is_beneath(frame: FrameType) -> bool:
    """Whether a frame is ours, of pyroute2, or of the standard library."""
    return _package(frame) in OURS or _package(frame) in sys.stdlib_module_names


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__")).partition(".")[0]


def _explain(item: pytest.Item, report: pytest.TestReport, error: BaseException) -> Iterator[str]:
    """Yield what explains a failure by where the test was.

    :param error: by which the test has failed.
    """
    is_plain = scope_key not in item.stash and uses_namespaces(getattr(item, "fixturenames", ()))
    if wanted_key not in item.config.stash and not is_plain:
        return
    with item.config.stash[originals_key].in_place():
        from . import explanations

    yield from explanations.of(item, report.longreprtext)
    if is_plain:
        yield from explanations.of_plain(item, error)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Show what commands had written that ended with the test."""
    try:
        return (yield)
    finally:
        session = item.config.stash.get(session_key, None)
        for title, text in [] if session is None else session.take_outputs():
            item.add_report_section("teardown", title, text)  # shown with the report of a failed call too
            if failed_setup_key in item.stash:  # but not with that of a failed set-up
                item.stash[failed_setup_key].sections.append((f"Captured {title} teardown", text))
