"""The fixtures that make namespaces, and the factory behind them, which lives for the session."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from .._errors import NetNSLimitError, NetNSPermissionError, NetNSUnsupportedError, is_meant
from .attempts import take_note
from .keys import (
    captures_key,
    isolation_key,
    leaks_key,
    mode_key,
    originals_key,
    scope_key,
    session_key,
    settings_key,
    stopwatch_key,
    test_key,
    witness_key,
)
from .notices import notice
from .requirements import require

if TYPE_CHECKING:
    from .._netns.factory import Session
    from .._netns.namespace import MakeNetNS, NetNS
    from .._netns.options import Options

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

WITHOUT_JOURNAL = (
    "there is no journal of all namespaces, so names and processes would stay if pytest and its resident child were "
    "both killed:"
)
WITHOUT_NAMES = "commands did not find the hosts of a network by name:"


def _start(config: pytest.Config) -> Session:
    originals, settings = config.stash[originals_key], config.stash[settings_key]
    with originals.in_place():
        from .._netns.factory import Session

    worker = os.environ.get("PYTEST_XDIST_WORKER")
    session = Session(
        child_mode=lambda: config.stash[mode_key],
        child_timeout=settings.child_timeout,
        thread_timeout=settings.thread_timeout,
        name_suffix=f"-{worker}" if worker else "",
        userns="auto" if settings.userns == "process" else settings.userns,
        originals=originals,
        test=lambda: config.stash.get(test_key, ""),
        keeps=settings.keep == "failed",
        stopwatch=config.stash.get(stopwatch_key, None),
        records=settings.capture != "off",
    )
    config.stash[session_key] = session
    if witness_key in config.stash:
        config.stash[witness_key].show_to(session)
    config.stash[captures_key].own(session)
    config.stash[leaks_key].own(session)
    take_note(config)
    config.add_cleanup(session.close)  # not with the fixture: the leak check still looks, after all fixtures
    return session


def make(config: pytest.Config, given: Options, *, leak_checked: bool = True, **internal: Any) -> NetNS:
    """Make a namespace for the test that runs; the fixture ``netns_factory`` is set up.

    :param leak_checked: whether the test has to leave everything as it was.
    :param internal: further arguments of ``Session.make``.
    """
    session = config.stash[session_key]
    if leak_checked:
        config.stash[leaks_key].begin()
    try:
        made: NetNS = session.make(given, leak_checked=leak_checked, **internal)
        return made
    except (NetNSPermissionError, NetNSUnsupportedError, NetNSLimitError):
        if not session.has_made_one:
            require(config, ["netns"])  # says why none can be made at all
        raise


@pytest.fixture(scope="session")
def netns_factory(pytestconfig: pytest.Config) -> Iterator[MakeNetNS]:
    """Make namespaces for fixtures of a wider scope: ``with netns_factory("lab") as ns: yield ns``.

    It takes what make_netns takes. What is still open at the end of the session is closed then.
    """
    session = _start(pytestconfig)
    yield lambda *args, **options: make(pytestconfig, session.options(args, options))
    try:
        session.close_namespaces()
    finally:
        if session.without_journal:
            notice(pytestconfig, f"{WITHOUT_JOURNAL} {session.without_journal}; pytest --netns-doctor says what to do")
        if session.without_own_etc:
            notice(pytestconfig, f"{WITHOUT_NAMES} {session.without_own_etc}")


@pytest.fixture
def netns(request: pytest.FixtureRequest, netns_child_mode: str, netns_factory: MakeNetNS) -> Iterator[NetNS]:
    """A network namespace made for this test: loopback up, closed at the end of the test."""
    config = request.config
    isolation = config.stash.get(isolation_key, None)
    if isolation is not None and isolation.test_ns is not None:  # its scope's, or asked for by getfixturevalue()
        yield isolation.test_ns.ns
        return
    given = config.stash[session_key].options(("netns",), {})
    with contextlib.ExitStack() as undo:
        yield make(config, given, complete=scope_key in request.node.stash, own=lambda ns: undo.callback(ns.close))


@pytest.fixture
def make_netns(pytestconfig: pytest.Config, netns_child_mode: str, netns_factory: MakeNetNS) -> Iterator[MakeNetNS]:
    """Make namespaces that are closed at the end of the test.

    make_netns(label=None, *, name=None, lo=True, sysctl=None, child_mode=None, child_timeout=None)
    """
    session = pytestconfig.stash[session_key]
    from .._netns.together import Together

    with contextlib.closing(Together()) as made:
        yield lambda *args, **options: make(pytestconfig, session.options(args, options), own=made.add)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Close what was being closed when that was interrupted, or failed."""
    try:
        return (yield)
    finally:
        session = item.config.stash.get(session_key, None)
        if session is not None:
            session.finish_closing()
