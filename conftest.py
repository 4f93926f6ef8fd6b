"""What holds for the project's own tests and examples."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import re
import threading
from collections.abc import Iterator
from multiprocessing import forkserver, resource_tracker
from pathlib import Path

import pytest

from pytest_netns import NetNSPermissionError, _causes
from pytest_netns._linux import proc, syscalls
from pytest_netns._plugin.keys import session_key
from tests.support.suites import PLUGINS_BY_NAME

os.environ.pop("GITHUB_STEP_SUMMARY", None)  # what tests let fail is nothing for the summary of a job

pytest_plugins = ["pytester", "tests.support.time_limit"]

START_METHODS = {"mp:spawn", "mp:forkserver", "spawn", "forkserver"}  # parameters of tests that start a Python


def _descriptors() -> dict[str, str]:
    """Return what each descriptor refers to, but for those of multiprocessing's helpers, which live on."""
    helpers = {
        str(getattr(forkserver._forkserver, "_forkserver_alive_fd", None)),
        str(getattr(resource_tracker._resource_tracker, "_fd", None)),
    }
    found = {}
    for entry in os.listdir("/proc/self/fd"):
        try:
            if entry not in helpers:
                found[entry] = os.readlink(f"/proc/self/fd/{entry}")
        except FileNotFoundError:
            continue  # that of the listing itself
    return found


def _children() -> set[str]:
    """Return our children, but for multiprocessing's helpers."""
    helpers = {
        str(getattr(forkserver._forkserver, "_forkserver_pid", None)),
        str(getattr(resource_tracker._resource_tracker, "_pid", None)),
    }
    found: set[str] = set()
    for thread in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            found |= set((thread / "children").read_text().split())
    return found - helpers


def pytest_configure() -> None:
    os.environ["HYPOTHESIS_NO_PLUGINS"] = "1"  # trio is not to schedule in another way because Hypothesis is there


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "start" in getattr(item, "fixturenames", ()):  # of tests/support/ordinary_user.py
            item.add_marker("ordinary_user")
        if START_METHODS.intersection(_strings_of(item)):
            item.add_marker("heavy")
        if item.get_closest_marker("needs_thread_inside") and not proc.has_capability(syscalls.CAP_SYS_ADMIN):
            item.add_marker(_told_that_no_thread_can_be_inside())


def pytest_collection_finish() -> None:
    collect()


def collect() -> None:
    """Collect what is garbage, and look no more at what is not: to look at all of it took 20 ms after each test."""
    gc.collect()
    gc.freeze()


def _strings_of(item: pytest.Item) -> set[str]:
    """Return the parameters of a test that are strings."""
    parameters = (
        item.callspec.params.values() if isinstance(item, pytest.Function) and hasattr(item, "callspec") else ()
    )
    return {value for value in parameters if isinstance(value, str)}


def _told_that_no_thread_can_be_inside() -> pytest.MarkDecorator:
    told = pytest.RaisesExc(NetNSPermissionError, match=re.escape(_causes.NEXT_STEP[_causes.ENTERING][errno.EPERM]))
    return pytest.mark.xfail(raises=told, strict=True, reason="a thread cannot be inside here, and that was said")


@pytest.fixture(autouse=True, scope="module")
def _all_is_looked_at_again() -> Iterator[None]:
    """Have the next collection find what was left by fixtures of a wider scope, which have ended by now."""
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves a descriptor, a thread or a child behind, or itself in another namespace."""
    if "netns_factory" in request.fixturenames:
        # The resident child lives as long as the session: it is to be there before.
        request.getfixturevalue("netns_factory")("warm-up").close()
    descriptors, threads, children = _descriptors(), set(threading.enumerate()), _children()
    home = os.stat("/proc/thread-self/ns/net").st_ino
    yield
    collect()
    assert os.stat("/proc/thread-self/ns/net").st_ino == home
    assert set(threading.enumerate()) <= threads
    assert _children() <= children
    if "netns_factory" in request.fixturenames:
        session = request.config.stash[session_key]
        descriptors |= dict.fromkeys(map(str, session.descriptors()), "the session's")
    left = {fd: target for fd, target in _descriptors().items() if fd not in descriptors}
    assert not left


@pytest.fixture(autouse=True)
def _plugins_by_name(request: pytest.FixtureRequest) -> None:
    """Let each run inside a test load our plugin and pytest-xdist only: to load all takes most of a second.

    A run that needs another plugin asks for it by name, as in ``-p fakefs``.
    """
    if "pytester" in request.fixturenames:
        request.getfixturevalue("pytester").makeini("[pytest]")
        for name, value in PLUGINS_BY_NAME.items():
            request.getfixturevalue("monkeypatch").setenv(name, value)
