"""The leak check: from where a test first uses a namespace to its end, and what it says of the rest."""

from __future__ import annotations

import contextlib
import functools
import posix
import warnings
from collections.abc import Callable, Collection, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from .._errors import NetNSLeakError, is_meant
from .keys import leaks_key, originals_key, settings_key
from .notices import notice
from .settings import CHILD_MODE, FACTORY, ISOLATE

if TYPE_CHECKING:
    from .._leaks.guard import Guard, Owner
    from .._leaks.state import State
    from .._originals import Originals

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

wider_key = pytest.StashKey[set[pytest.FixtureDef[Any]]]()
"""The fixtures of a wider scope than a test's that are set up."""
CANNOT = "the leak check is not possible, and this is said once"


def uses_namespaces(fixtures: Collection[str]) -> bool:
    """Whether one of ours is among these, of which each is there that another needs."""
    return CHILD_MODE in fixtures or FACTORY in fixtures


def is_leak_checked(item: pytest.Item) -> bool:
    """Whether a test asks for a namespace, and so has to leave everything as it was."""
    return uses_namespaces(getattr(item, "fixturenames", ())) or item.get_closest_marker(ISOLATE) is not None


def pytest_configure(config: pytest.Config) -> None:
    settings = config.stash[settings_key]
    config.stash[wider_key] = set()
    config.stash[leaks_key] = leaks = Leaks(
        settings.thread_timeout,
        config.stash[originals_key],
        functools.partial(_wider, config),
        functools.partial(notice, config),
        is_on=settings.leaks != "ignore",
    )
    config.add_cleanup(leaks.close)


def _wider(config: pytest.Config) -> list[Any]:
    """Return what fixtures that outlive a test have made, and their way to tear it down, which holds the rest."""
    found: list[Any] = []
    for definition in config.stash[wider_key]:
        found += [definition.cached_result, getattr(definition, "_finalizers", None)]
    return found


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    leaks = item.config.stash[leaks_key]
    leaks.start(is_checked=is_leak_checked(item))
    with _dropped_if_it_fails(leaks):
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    with _dropped_if_it_fails(item.config.stash[leaks_key]):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    leaks = item.config.stash[leaks_key]
    try:
        with _dropped_if_it_fails(leaks):
            result = yield
    finally:
        leaks.stop()
    found = leaks.left()
    if nextitem is None:
        kept, unexplained = leaks.left_at_the_end()
        found += kept
        for text in unexplained:
            notice(item.config, text)
    _report(item.config, item.nodeid, found)
    return result


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> Iterator[Any]:
    if fixturedef.scope == "function":
        return (yield)
    # What a fixture of a wider scope makes is meant to outlive the test.
    request.config.stash[wider_key].add(fixturedef)
    with request.config.stash[leaks_key].wider():
        return (yield)


def pytest_fixture_post_finalizer(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> None:
    request.config.stash[wider_key].discard(fixturedef)


@contextlib.contextmanager
def _dropped_if_it_fails(leaks: Leaks) -> Iterator[None]:
    try:
        yield
    except BaseException:
        # The exception's frames hold what the test has made, so it cannot be told what the test would have left.
        leaks.drop()
        raise


def _report(config: pytest.Config, where: str, found: list[str]) -> None:
    if not found:
        return
    text = "\n".join([*found, "close it, join it, end it or wait for it before the test ends"])
    if config.stash[settings_key].leaks == "warn":
        warnings.warn(pytest.PytestWarning(f"{where}: {text}"), stacklevel=1)
    else:
        raise NetNSLeakError(text)


class Leaks:
    """Checks the tests, one after the other, each from its first use of a namespace on.

    :param thread_timeout: how long a thread may take to end, in seconds.
    :param originals: what modules are imported with.
    :param wider: as of :class:`Guard`.
    :param say: told once why the leak check is not possible.
    :param is_on: whether anything is checked.
    """

    def __init__(
        self,
        thread_timeout: float,
        originals: Originals,
        wider: Callable[[], list[Any]],
        say: Callable[[str], object],
        *,
        is_on: bool,
    ) -> None:
        self._thread_timeout = thread_timeout
        self._originals = originals
        self._wider = wider
        self._say = say
        self._is_on = is_on
        self._has_said = False
        self._guard: Guard | None = None
        self._owner: Owner | None = None
        self._original = -1  # a descriptor of the namespace where the main thread belongs
        self._before: State | None = None
        self._namespace: tuple[int, int] | None = None
        self._runs = self.has_begun = self._is_to_begin = False
        self._depth = 0  # fixtures of a wider scope that are being set up
        self._stayed: list[str] = []
        self.is_checked = False
        """Whether the test that runs has to leave everything as it was."""

    def close(self) -> None:
        original, self._original = self._original, -1
        if original >= 0:
            posix.close(original)

    def own(self, owner: Owner) -> None:
        """Know what lives longer than a test."""
        self._owner = owner
        if self._guard is not None:
            self._guard.owner = owner

    def start(self, *, is_checked: bool) -> None:
        """Take note of a test that is about to be set up, and begin if it is known to use namespaces."""
        self.is_checked = is_checked
        self._runs = True
        self.has_begun = self._is_to_begin = False
        if self._original < 0:  # while the main thread is still where it belongs
            with contextlib.suppress(OSError):  # said if a test uses namespaces
                self._open_original()
        if is_checked:
            self.begin(late=False)

    def _open_original(self) -> None:
        from .._linux import syscalls

        self._original = syscalls.open_own_namespace()

    def begin(self, *, late: bool = True) -> None:
        """Let the test begin to use namespaces, unless it has; not as long as a fixture of a wider scope is set up.

        :param late: its set-up has begun, and the main thread may be inside of something.
        """
        self._is_to_begin = self._runs and not self.has_begun
        if not self._is_to_begin or self._depth:
            return
        self.has_begun = True
        if self._is_on:
            with self._said_if_impossible():
                self._before = self._known_guard().look()
                if late:
                    self._before.namespace = self._namespace or self._known_guard().original_ns

    def _known_guard(self) -> Guard:
        if self._guard is None:
            if self._original < 0:
                self._open_original()
            with self._originals.in_place():
                from .._leaks.guard import Guard

                self._guard = Guard(self._original, self._thread_timeout, self._wider)
            self._guard.owner = self._owner
        return self._guard

    def prepare(self) -> None:
        """Know where the main thread belongs, before a test that is isolated leaves it."""
        if self._is_on:
            with self._said_if_impossible():
                self._namespace = self._known_guard().look().namespace

    @contextlib.contextmanager
    def wider(self) -> Iterator[None]:
        """Let what a fixture of a wider scope makes in the block be there from the beginning, since it stays."""
        start = None
        if self._before is not None and not self._depth:
            with self._said_if_impossible():
                start = self._known_guard().look()
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if start is not None and self._before is not None:
                with self._said_if_impossible():
                    self._before.allow(start, self._known_guard().look())
        if self._is_to_begin:
            self.begin()

    def drop(self) -> None:
        """Check no leaks of the test that runs."""
        self._before = None

    def stop(self) -> None:
        """Have the main thread where it belongs, also if the test has failed."""
        if self.has_begun and self._before is None:
            self._return()
        self._runs = self._is_to_begin = False
        self._namespace = None

    def _return(self) -> None:
        from .._linux import syscalls

        if self._original < 0:
            return
        with self._said_if_impossible():
            if syscalls.namespace_id("/proc/self/ns/net") != syscalls.namespace_id(self._original):
                syscalls.setns(self._original)

    def add(self, text: str) -> None:
        """Take note of something that the test has left and that cannot be seen from outside."""
        self._stayed.append(text)

    def left(self) -> list[str]:
        """Return a text for each thing that the test has left, and for each namespace that something keeps."""
        before, self._before = self._before, None
        stayed, self._stayed = self._stayed, []
        guard = self._guard
        found: list[str] = []
        if guard is None:
            return found
        with self._said_if_impossible():
            differences = [*stayed, *([] if before is None else guard.differences(before))]
            found = ["left behind by the test:", *differences] if differences else []
            found += guard.kept(is_leak_checked=before is not None and not differences)
        return found

    def left_at_the_end(self) -> tuple[list[str], list[str]]:
        """Return a text for each namespace that something keeps, and for each of which it cannot be seen what does."""
        found: tuple[list[str], list[str]] = [], []
        if self._guard is not None:
            with self._said_if_impossible():
                found = self._guard.kept_at_the_end()
        return found

    @contextlib.contextmanager
    def _said_if_impossible(self) -> Iterator[None]:
        """Let no trouble of the leak check become one of the test, which has done nothing wrong."""
        try:
            yield
        except Exception as error:
            self._before = None
            if not self._has_said:
                self._has_said = True
                self._say(f"{CANNOT}: {type(error).__name__}: {error}")
