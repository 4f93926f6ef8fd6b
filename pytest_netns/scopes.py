"""Which tests share a network namespace, and which fixtures are set up and torn down inside it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from .settings import settings_key

if TYPE_CHECKING:
    from .isolation import Isolation, Place
    from .namespace import NetNS

__tracebackhide__ = True  # a failed test's report ends in the test; --full-trace shows the rest

ISOLATE = "netns_isolate"
ISOLATED = "_netns_isolated"
SCOPES = ("test", "class", "module", "session")
FIXTURE_SCOPES = ("function", "class", "module", "package", "session")
"""Of fixtures, from the narrowest to the widest."""

isolation_key: pytest.StashKey[Isolation] = pytest.StashKey()
isolates_key = pytest.StashKey[bool]()
"""Whether a test of this run is isolated."""
scope_key = pytest.StashKey[str]()
"""What shares the namespace of an isolated test."""
judged_key = pytest.StashKey[bool]()
"""Whether the test that runs has to leave everything as it was."""


def is_marked(item: pytest.Item) -> bool:
    return item.get_closest_marker(ISOLATE) is not None


def scope_of(item: pytest.Item) -> str | None:
    """Return what is to share the namespace of a test, or ``None`` for a test that is not isolated.

    :raises pytest.UsageError: its marker is wrong.
    """
    marker = item.get_closest_marker(ISOLATE)
    if marker is None:
        asked = item.config.stash[settings_key].isolate
        return asked if asked in SCOPES else None
    scope = marker.kwargs.get("scope", SCOPES[0])
    if marker.args or set(marker.kwargs) - {"scope"} or scope not in SCOPES:
        given = [*map(repr, marker.args), *(f"{name}={value!r}" for name, value in marker.kwargs.items())]
        raise pytest.UsageError(
            f"{item.nodeid}: @pytest.mark.{ISOLATE}({', '.join(given)}) is wrong; it takes scope=, which is one of "
            f"{', '.join(map(repr, SCOPES))}"
        )
    return str(scope)


def _scopes_inside(scope: str) -> tuple[str, ...]:
    """Return the scopes of the fixtures that are set up inside the namespace of a scope."""
    widest = FIXTURE_SCOPES[0] if scope == SCOPES[0] else scope
    return FIXTURE_SCOPES[: FIXTURE_SCOPES.index(widest) + 1]


def isolate(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let isolated tests enter their namespace before any other fixture of theirs is set up."""
    for item in items:
        scope = scope_of(item)
        if scope is not None and hasattr(item, "fixturenames"):
            item.stash[scope_key] = scope
            # A list of its own: tests of one function share theirs. First of all, so that what follows is inside.
            item.fixturenames = [ISOLATED, *item.fixturenames]
            config.stash[isolates_key] = True


def is_isolated(item: pytest.Item) -> bool:
    return scope_key in item.stash


def isolation_of(config: pytest.Config) -> Isolation:
    if isolation_key not in config.stash:
        from .isolation import Isolation

        config.stash[isolation_key] = isolation = Isolation()
        config.add_cleanup(isolation.close)
    return config.stash[isolation_key]


@contextlib.contextmanager
def around(fixturedef: pytest.FixtureDef[Any], config: pytest.Config) -> Iterator[None]:
    """Set up a fixture of a wider scope than a test where it belongs, and see to it that it is torn down there.

    Inside if its scope is not wider than that of the namespace, outside if it is: it is meant to outlive the namespace.
    Its teardown may come at any time: in a later test, isolated or not, or in the set-up of one that has another
    parameter for it.
    """
    if isolates_key not in config.stash:
        yield
        return
    isolation = config.stash.get(isolation_key, None)
    place = None if isolation is None else isolation.where_for(fixturedef.scope)
    with contextlib.ExitStack() as stay:
        # Finalizers run in the reverse order, so that what the fixture itself adds is in between.
        teardown = contextlib.ExitStack()
        fixturedef.addfinalizer(teardown.close)
        stay.callback(fixturedef.addfinalizer, lambda: _be_at(place, config, teardown))
        _be_at(place, config, stay)
        yield


def _be_at(place: Place | None, config: pytest.Config, stay: contextlib.ExitStack) -> None:
    isolation = config.stash.get(isolation_key, None)
    if isolation is not None:
        stay.enter_context(isolation.at(place))


@pytest.fixture
def _netns_isolated(request: pytest.FixtureRequest, _make_netns: Callable[..., NetNS]) -> Iterator[None]:
    isolation = isolation_of(request.config)
    scope = request.node.stash[scope_key]
    with contextlib.ExitStack() as undo:
        if scope != SCOPES[0]:
            place = request.getfixturevalue(f"_netns_of_the_{scope}")
        elif request.config.stash[judged_key]:
            place = undo.enter_context(isolation.open(request.getfixturevalue("netns"), _scopes_inside(scope)))
        else:
            # A suite that knows nothing of namespaces may leave behind what it likes: it did so before, too.
            ns = undo.enter_context(_make_netns("isolated", judged=False, complete=True))
            place = undo.enter_context(isolation.open(ns, _scopes_inside(scope)))
        undo.enter_context(isolation.inside(place))
        yield


def _namespace_of_the(scope: Any) -> Any:
    @pytest.fixture(scope=scope, name=f"_netns_of_the_{scope}")
    def namespace(pytestconfig: pytest.Config, _make_netns: Callable[..., NetNS]) -> Iterator[Place]:
        is_judged = pytestconfig.stash[judged_key]
        with (
            _make_netns(f"of the {scope}", judged=is_judged, complete=True) as ns,
            isolation_of(pytestconfig).open(ns, _scopes_inside(scope)) as place,
        ):
            yield place

    return namespace


_netns_of_the_class = _namespace_of_the("class")
_netns_of_the_module = _namespace_of_the("module")
_netns_of_the_session = _namespace_of_the("session")
