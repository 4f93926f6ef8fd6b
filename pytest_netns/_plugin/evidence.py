"""The section ``network`` in the report of a failed test: why, and what has changed since it began."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from .._errors import is_meant
from .attempts import refused
from .keep import keep_those_of
from .keys import attempts_key, originals_key, session_key
from .leaks import uses_namespaces
from .reporting import shows_failure
from .settings import CHILD_MODE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .._netns.attempts import Attempt
    from .._netns.namespace import NetNS
    from .._report.diagnosis.case import Finding
    from .._report.diagnosis.gathering import Told
    from .._snapshot.start import Start

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

TITLE = "network"
load_key: pytest.StashKey[Callable[[Iterable[NetNS]], Start]] = pytest.StashKey()
"""What notes the beginning of a test, once that is imported."""
start_key: pytest.StashKey[Start] = pytest.StashKey()
"""In the stash of a test: its beginning."""
trouble_key: pytest.StashKey[str | None] = pytest.StashKey()
"""In the stash of a test: why its beginning is not known."""
told_key: pytest.StashKey[Told | None] = pytest.StashKey()
"""In the stash of a test: what the last report of it that failed says."""
teardown_key: pytest.StashKey[Told | None] = pytest.StashKey()
"""In the stash of a test: what was seen when something first failed in its teardown."""
running_key = pytest.StashKey[pytest.Item]()
"""The test that runs."""
interrupted_key: pytest.StashKey[tuple[str, Told | None]] = pytest.StashKey()
"""The test that Ctrl-C has interrupted, and what was seen then."""


def _spaces(config: pytest.Config) -> list[NetNS]:
    session = config.stash.get(session_key, None)
    return [] if session is None else session.namespaces()


def _start(item: pytest.Item) -> None:
    """Note how a test begins; what fails in that is said if the test fails, and changes no result."""
    item.stash[trouble_key] = None
    try:
        note = item.config.stash.get(load_key, None)
        if note is None:
            with item.config.stash[originals_key].in_place():
                from .._snapshot.start import Start

            note = item.config.stash[load_key] = Start
        item.stash[start_key] = note(_spaces(item.config))
    except Exception as trouble:  # there is no room for a descriptor, for example
        item.stash[trouble_key] = f"the network could not be looked at as the test began: {trouble!r}"


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[Any]:
    """Know which test runs; one that Ctrl-C interrupts has no report, so that the summary says it."""
    stash = item.config.stash
    stash[running_key] = item
    try:
        return (yield)
    except KeyboardInterrupt as error:
        stash[interrupted_key] = item.nodeid, told_of(item, error, None)
        raise
    finally:
        del stash[running_key]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[Any]:
    if _is_known_to_use(item):
        _start(item)
    return (yield)


def _is_known_to_use(item: pytest.Item) -> bool:
    return uses_namespaces(getattr(item, "fixturenames", ()))


def told_of(item: pytest.Item, error: BaseException, attempt: Attempt | None) -> Told | None:
    """Return what there is to say of the network of a test; nothing it meets may change the result of that.

    :param error: by which the test has failed.
    :param attempt: a connection that was refused, by which the test has failed.
    """
    config = item.config
    trouble_at_first = item.stash.get(trouble_key, None)
    if trouble_at_first is not None:
        return [], [], [trouble_at_first]
    try:
        spaces = _spaces(config) if start_key in item.stash else []
        if not spaces and attempt is None:
            return None
        with config.stash[originals_key].in_place():
            from .._report.diagnosis.gathering import describe
            from .._snapshot.start import Start

        session, attempts = config.stash[session_key], config.stash.get(attempts_key, None)
        frames = [frame for one in session.recorder.of_test() for frame in one.frames]
        start = item.stash.get(start_key, None) or Start([])
        elsewhere, unknown = _elsewhere(item, attempt)
        why, changed, missing = describe(spaces, start, error, session.snapshots, attempts, frames, elsewhere)
        return why, changed, [*missing, *unknown]
    except Exception as trouble:
        return [], [], [f"the network could not be looked at: {trouble!r}"]


def _elsewhere(item: pytest.Item, attempt: Attempt | None) -> tuple[Finding | None, list[str]]:
    """Return who listens elsewhere for a connection that was refused, and why that is not known."""
    if attempt is None:
        return None, []
    try:
        with item.config.stash[originals_key].in_place():
            from .refusals import elsewhere_of

        return elsewhere_of(item, attempt), []
    except Exception as trouble:
        return None, [f"whether anything listens elsewhere is not known: {trouble!r}"]


def _refused(item: pytest.Item, error: BaseException) -> Attempt | None:
    """Return the connection whose refusal a test has failed by, if its error can be read at all."""
    try:
        return refused(item.config, error)
    except Exception:  # of an exception whose str() fails, for example
        return None


def text_of(told: Told) -> str:
    return "\n".join(line for lines in told for line in lines)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    error = None if call.excinfo is None else call.excinfo.value
    attempt = None if error is None else _refused(item, error)  # by its frames, of which a report shows some
    report = yield
    if shows_failure(item, report) and error is not None:
        told = item.stash.get(teardown_key, None) if report.when == "teardown" else told_of(item, error, attempt)
        item.stash[told_key] = told
        if told is not None and any(told):
            drawings = [drawing for title, drawing in report.sections if title == TITLE]
            others = [section for section in report.sections if section[0] != TITLE]
            report.sections = [(TITLE, "\n\n".join([text_of(told), *drawings])), *others]
    return report


@pytest.hookimpl(wrapper=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> Iterator[Any]:
    """Have the network looked at when the teardown of a fixture fails: the namespaces are closed when that is told."""
    item = request.config.stash.get(running_key, None)
    if fixturedef.argname == CHILD_MODE and item is not None and not _is_known_to_use(item):
        _start(item)  # the test has asked by getfixturevalue()
    try:
        return (yield)
    finally:
        finalizers = getattr(fixturedef, "_finalizers", None)
        if isinstance(finalizers, list) and session_key in request.config.stash:
            finalizers[:] = [_Watched(one, request.config) for one in finalizers]


class _Watched:
    """What tears a fixture down, and if that fails, has the network looked at, and what is still open kept."""

    def __init__(self, finalizer: Callable[[], object], config: pytest.Config) -> None:
        self._finalizer = finalizer
        self._config = weakref.ref(config)  # else the leak check would find all that there is to be held by a fixture

    def __call__(self) -> None:
        try:
            self._finalizer()
        except (Exception, pytest.fail.Exception) as error:
            config = self._config()
            item = None if config is None else config.stash.get(running_key, None)
            if item is not None:
                keep_those_of(item)
                if teardown_key not in item.stash:
                    item.stash[teardown_key] = told_of(item, error, _refused(item, error))
            raise


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    name, told = config.stash.get(interrupted_key, ("", None))
    if told is not None and any(told):
        terminalreporter.section(f"{TITLE} of {name}", sep="-")
        terminalreporter.write_line(text_of(told))
