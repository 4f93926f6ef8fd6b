"""What is around the tests that are disturbed: it tells what becomes of each, and has the alarm that may ring."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator
from types import FrameType

import pytest

from pytest_netns import NetNSError
from pytest_netns._linux import proc

from .telling import OnPurpose, tell

PYTEST = {"_pytest", "pluggy", "xdist", "execnet"}
DISTURBED = {"pytest_netns", "pyroute2", "trials"}
# What fails in a fixture of a wider scope fails for all tests.
WIDER = {"netns_factory"}


def pytest_configure(config: pytest.Config) -> None:
    signal.signal(signal.SIGALRM, ring)
    tell("owners", f"{os.getpid()}-{proc.start_time(os.getpid())}")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    tell("closings", item.name)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed and call.excinfo is not None and call.excinfo.type is OnPurpose:
        tell("purposes", item.name)
    elif report.failed and call.excinfo is not None:
        kind = "errors" if is_clear(call.excinfo.value) else "unclear"
        tell(kind, f"{item.name} {report.when}: {call.excinfo.value!r:.2000}")
    return report


def is_clear(error: BaseException) -> bool:
    """Whether an error says what the trouble was: it is one of ours, or of the system, or what the alarm has raised."""
    if hasattr(error, "exceptions"):  # an ExceptionGroup, which Python 3.10 has not
        return all(map(is_clear, error.exceptions))
    is_no_thread = isinstance(error, RuntimeError) and "can't start new thread" in str(error)
    return is_no_thread or isinstance(error, (NetNSError, OSError, pytest.fail.Exception))


def pytest_unconfigure() -> None:
    """Let the alarm ring no more: Python takes its handler away as it ends."""
    signal.signal(signal.SIGALRM, signal.SIG_IGN)


def ring(number: int, frame: FrameType | None) -> None:
    """Raise, as pytest-timeout does, wherever the test is; not where pytest would not report it."""
    if _is_in_a_test(frame):
        tell("rung", os.environ["PYTEST_CURRENT_TEST"].rpartition("::")[2].rpartition(" ")[0])
        raise pytest.fail.Exception("the alarm rang")


def _is_in_a_test(frame: FrameType | None) -> bool:
    frames = list(_frames(frame))
    packages = [str(each.f_globals.get("__name__")).partition(".")[0] for each in frames]
    below = next((number for number, package in enumerate(packages) if package in PYTEST), 0)
    names = [each.f_code.co_name for each in frames]
    is_in_hook = any(name.startswith("pytest_") or name in WIDER for name in names[:below])
    return "from_call" in names[below:] and not is_in_hook and not DISTURBED.isdisjoint(packages[:below])


def _frames(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back
