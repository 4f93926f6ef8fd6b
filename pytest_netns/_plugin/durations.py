"""--netns-durations: where the time goes that namespaces take, in the summary of a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .._errors import is_meant
from .keys import session_key, stopwatch_key, test_key

if TYPE_CHECKING:
    from .._netns.stopwatch import Spent

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

DURATIONS = "netns_durations"
WORKER_OUTPUT = DURATIONS
HELP = (
    "show the N slowest things that were done for namespaces, and for which test: making them and their networks, "
    "waiting until these and programs are ready, ending programs (N=0 for all)"
)

rows_key = pytest.StashKey[list[tuple[float, int, str, str, str]]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("netns", "network namespaces")
    group.addoption("--netns-durations", type=int, metavar="N", help=HELP)


def pytest_configure(config: pytest.Config) -> None:
    number = config.getoption(DURATIONS)
    if number is None:
        return
    if number < 0:
        raise pytest.UsageError(f"--netns-durations: {number} is below 0; 0 shows all")
    from .._netns.stopwatch import Stopwatch

    config.stash[stopwatch_key] = Stopwatch(lambda: config.stash.get(test_key, ""))
    config.stash[rows_key] = []


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    config = session.config
    if stopwatch_key not in config.stash or session_key not in config.stash:
        return
    rows = [(*spent,) for spent in config.stash[stopwatch_key].spent()]
    config.stash[rows_key].extend(rows)
    output: dict[str, Any] | None = getattr(config, "workeroutput", None)
    if output is not None:  # of pytest-xdist, which passes it to the controller
        output[WORKER_OUTPUT] = rows


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take what a worker of pytest-xdist has measured."""
    if rows_key in node.config.stash:
        node.config.stash[rows_key].extend(getattr(node, "workeroutput", {}).get(WORKER_OUTPUT, ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if rows_key not in config.stash:
        return
    from .._netns.stopwatch import Spent

    number = config.getoption(DURATIONS)
    rows = sorted((Spent(*row) for row in config.stash[rows_key]), reverse=True)
    shown = rows[: number or None]
    terminalreporter.section(f"slowest {len(shown)} of {len(rows)} durations of namespaces")
    for line in table(shown):
        terminalreporter.line(line)
    total = sum(row.seconds for row in rows)
    terminalreporter.line(f"all of them together: {total:.2f} s")


def table(rows: list[Spent]) -> list[str]:
    """Return a line for each: how long, what, how often, in which namespace, for which test."""
    what = [f"{row.what} ({row.times} times)" if row.times > 1 else row.what for row in rows]
    width = max(map(len, what), default=0)
    label = max((len(row.where) for row in rows), default=0)
    return [
        f"{row.seconds:7.3f} s  {text:{width}}  {row.where:{label}}  {row.test}".rstrip()
        for row, text in zip(rows, what, strict=True)
    ]
