"""The child mode of each test: by marker, ini, command line or parametrisation."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from .._child import DEFAULT, check_mode
from .._errors import ChildModeError
from .keys import leaks_key, mode_key, originals_key, settings_key
from .leaks import uses_namespaces
from .settings import CHILD_MODE, parse_modes

MARKER = (
    "netns_child_mode(mode, ...): run the test once in each of these child modes, with the mode in its id "
    "(resident, fork, mp, mp:fork, mp:forkserver, mp:spawn)."
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)


@pytest.fixture
def netns_child_mode(request: pytest.FixtureRequest) -> Iterator[str]:
    """The child mode this test runs in."""
    config = request.config
    usual = config.stash[mode_key]
    mode = check_mode(getattr(request, "param", usual))
    config.stash[leaks_key].begin()  # if not before, since the test has asked by getfixturevalue()
    with contextlib.ExitStack() as undo:
        if mode != DEFAULT:
            with config.stash[originals_key].in_place():
                from .._child.mode_names import ChildMode
                from .._netns.factory import others_in

                undo.enter_context(others_in(ChildMode.of(mode)))
        undo.callback(config.stash.__setitem__, mode_key, usual)
        config.stash[mode_key] = mode
        yield mode


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker(CHILD_MODE)
    if marker is not None:
        modes = _modes_of(marker, metafunc.definition)
    else:
        modes = metafunc.config.stash[settings_key].child_modes
        if len(modes) == 1 or not uses_namespaces(metafunc.fixturenames):
            return
    if not _is_parametrised(metafunc.definition):
        if CHILD_MODE not in metafunc.fixturenames:  # parametrize() insists on it
            metafunc.fixturenames.append(CHILD_MODE)
        metafunc.parametrize(CHILD_MODE, modes, ids=modes, indirect=True)


def pytest_itemcollected(item: pytest.Item) -> None:
    _check_parametrised_mode(item)
    is_parametrised = not isinstance(item, pytest.Function) or hasattr(item, "callspec")
    if not is_parametrised and item.get_closest_marker(CHILD_MODE) is not None:
        raise pytest.UsageError(
            f"{item.nodeid}: @pytest.mark.{CHILD_MODE} runs a test once in each mode, which pytest cannot do with a "
            f"method of unittest.TestCase; make it a function, or give --{CHILD_MODE.replace('_', '-')}"
        )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Set up the child mode of a test first, so that it holds for fixtures of a wider scope, too."""
    for item in items:
        names = getattr(item, "fixturenames", ())
        if uses_namespaces(names) or CHILD_MODE in _params(item):
            # A list of its own: tests of one function share theirs.
            item.fixturenames = [CHILD_MODE, *(name for name in names if name != CHILD_MODE)]  # type: ignore[attr-defined]


def _params(item: pytest.Item) -> dict[str, Any]:
    params: dict[str, Any] = getattr(getattr(item, "callspec", None), "params", {})
    return params


def _check_parametrised_mode(item: pytest.Item) -> None:
    try:
        check_mode(_params(item).get(CHILD_MODE, DEFAULT))
    except ChildModeError as error:  # not as late as in set-up, where others have not set up what they tear down
        raise pytest.UsageError(f"{item.nodeid}: {CHILD_MODE}: {error}") from None


def _modes_of(marker: pytest.Mark, item: pytest.Item) -> tuple[str, ...]:
    try:
        if marker.kwargs:
            raise ChildModeError(f"the marker takes modes only, not {', '.join(marker.kwargs)}=")
        return parse_modes(marker.args)
    except ChildModeError as error:
        # Not UsageError, which pytest would show here with a traceback through itself.
        raise pytest.Collector.CollectError(f"{item.nodeid}: @pytest.mark.{CHILD_MODE}: {error}") from None


def _is_parametrised(item: pytest.Item) -> bool:
    """Whether the test names the modes itself, by ``parametrize(..., indirect=True)``."""
    for mark in item.iter_markers("parametrize"):
        names: Any = mark.args[0] if mark.args else mark.kwargs.get("argnames", ())
        if CHILD_MODE in (names.replace(" ", "").split(",") if isinstance(names, str) else names):
            return True
    return False
