"""A pytest plugin: a test that hangs ends the run, with the stacks of all threads.

The watchdog of ``faulthandler`` is a thread in C. It needs neither the interpreter's lock nor a signal, so it sees a
test that hangs in C, and tests may use SIGALRM themselves. What it writes is not captured. pytest-xdist replaces the
worker that it ends, and its report names the test.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import sys
from collections.abc import Generator, Iterator

import pytest

SECONDS = float(os.environ.get("NETNS_TEST_TIME_LIMIT", "300"))  # for each of set-up, call and teardown
_stderr = pytest.StashKey[int]()


def pytest_configure(config: pytest.Config) -> None:
    assert sys.__stderr__ is not None
    config.stash[_stderr] = os.dup(sys.__stderr__.fileno())  # capturing is suspended now


@contextlib.contextmanager
def _limited(config: pytest.Config) -> Iterator[None]:
    faulthandler.dump_traceback_later(SECONDS, exit=True, file=config.stash[_stderr])
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    with _limited(session.config):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None]:
    with _limited(item.config):
        yield


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    with _limited(item.config):
        yield


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None]:
    with _limited(item.config):
        yield


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Limit the end of the process too, at which threads are waited for: nothing cancels this one."""
    if session.config.pluginmanager.has_plugin("dsession"):
        return  # the controller ends its workers, within a limit of its own
    faulthandler.dump_traceback_later(SECONDS, exit=True, file=session.config.stash[_stderr])
