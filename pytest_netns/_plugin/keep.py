"""The namespaces of failed tests, which stay after the run with --netns-keep=failed."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, NamedTuple

import pytest

from .._errors import NetNSError, is_meant
from .keys import leaks_key, scope_key, session_key, test_key
from .leaks import uses_namespaces

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

COMMAND = "python -m pytest_netns"
WORKER_OUTPUT = "netns_kept"


class Stays(NamedTuple):
    """What stays of this run, and why not more."""

    kept: list[tuple[str, list[tuple[str, str]]]]
    left_out: list[str]
    trouble: list[str]


stays_key = pytest.StashKey[Stays]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[stays_key] = Stays([], [], [])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> None:
    item.config.stash[test_key] = item.nodeid


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        keep_those_of(item)
    return report


def keep_those_of(item: pytest.Item) -> None:
    """Have the namespaces kept that are there as a test fails, if it has to do with any."""
    session = item.config.stash.get(session_key, None)
    uses = uses_namespaces(getattr(item, "fixturenames", ())) or item.config.stash[leaks_key].has_begun
    if session is not None and (uses or scope_key in item.stash):
        session.keeping.failed(item.nodeid)


@pytest.hookimpl(trylast=True)  # after all fixtures are torn down, also where the run was interrupted
def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    stays, made = config.stash[stays_key], config.stash.get(session_key, None)
    if made is None:
        return
    try:
        stays.kept.extend((test, namespaces) for test, namespaces in made.hand_over())
    except NetNSError as error:
        stays.trouble.append(str(error))
    stays.left_out.extend(sorted(made.keeping.left_out))
    output: dict[str, Any] | None = getattr(config, "workeroutput", None)
    if output is not None:  # of pytest-xdist, which passes it to the controller
        output[WORKER_OUTPUT] = [list(each) for each in stays]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a worker of pytest-xdist has kept."""
    told = getattr(node, "workeroutput", {}).get(WORKER_OUTPUT, ())
    for known, more in zip(node.config.stash[stays_key], told, strict=False):
        known.extend(more)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    stays = config.stash[stays_key]
    if not any(stays):
        return
    terminalreporter.section("namespaces that were kept")
    for test, namespaces in stays.kept:
        terminalreporter.line(f"{test}:", bold=True)
        for name, label in namespaces:
            terminalreporter.line(f"  {COMMAND} shell {name}  # {label}")
        terminalreporter.line(f"  {COMMAND} end {' '.join(name for name, _ in namespaces)}")
    if stays.kept:
        terminalreporter.line(f"They end by themselves after a day; {COMMAND} end --all ends all of them now")
    for test in stays.left_out:
        terminalreporter.line(f"not kept, as those of the first tests that have failed are: {test}")
    for text in stays.trouble:
        terminalreporter.line(f"nothing was kept: {text}")
