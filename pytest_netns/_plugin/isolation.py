"""Which tests share a network namespace, and which fixtures are set up and torn down inside it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from .._errors import is_meant
from .attempts import audit_of
from .fixtures import make
from .keys import isolation_key, leaks_key, originals_key, scope_key, session_key, settings_key, wanted_key
from .notices import notice
from .settings import ISOLATE

if TYPE_CHECKING:
    from .._isolation.isolation import Isolation, TestNamespace
    from .._isolation.wanted import Wanted
    from .._netns.namespace import MakeNetNS, NetNS

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

ISOLATED = "_netns_isolated"
SCOPES = ("test", "class", "module", "session")
FIXTURE_SCOPES = ("function", "class", "module", "package", "session")
"""Of fixtures, from the narrowest to the widest."""
MARKER = (
    "netns_isolate(scope='test'): run the whole test inside a netns of its own, with its fixtures, threads, "
    "processes and event loop; or inside that of its class, module or session, with the fixtures of this scope, too."
)

isolates_key = pytest.StashKey[bool]()
"""Whether a test of this run is isolated."""

STAYING = (
    "threads that were not started by Python are inside the namespace of {owner} and stay there: {threads}. There they "
    "do their work for later tests too, such as looking host names up for an event loop of libuv. Let these tests "
    "share a namespace: scope='session' where they have the marker, else --netns-isolate=session or worker. Or, if the "
    "threads have nothing to do with the network, start them before, in a fixture of a wider scope"
)


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


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)


@pytest.hookimpl(trylast=True)  # the marker may come from hooks of others
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let isolated tests enter their namespace before any other fixture of theirs is set up."""
    for item in items:
        scope = scope_of(item)
        if scope is not None and hasattr(item, "fixturenames"):
            item.stash[scope_key] = scope
            # A list of its own: tests of one function share theirs. First of all, so that what follows is inside.
            item.fixturenames = [ISOLATED, *item.fixturenames]
            config.stash[isolates_key] = True


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    config = item.config
    if wanted_key in config.stash:
        config.stash[wanted_key].clear()
    if isolates_key in config.stash:
        # Before the leak check looks, since it stays, and before the first fixture that is set up outside.
        isolation_of(config)
    if scope_key in item.stash:
        config.stash[leaks_key].prepare()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Isolate what is no Python test, such as one of a YAML file: of that, the call."""
    if hasattr(item, "fixturenames") or scope_of(item) is None:
        return (yield)
    from .._isolation.isolation import in_new

    with in_new():
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> Iterator[Any]:
    isolation = request.config.stash.get(isolation_key, None)
    if isolation is None or fixturedef.scope == "function":
        return (yield)
    with _around(fixturedef, isolation):
        return (yield)


def wanted_of(config: pytest.Config) -> Wanted:
    """Return what takes note of the addresses that a test wants; from the first call on, it does."""
    if wanted_key not in config.stash:
        from .._isolation.wanted import ADDRESSES, NAMES, Wanted

        def is_of_test() -> bool:
            isolation = config.stash.get(isolation_key, None)
            return isolation is None or isolation.test_ns is None or isolation.of_caller() is isolation.test_ns

        config.stash[wanted_key] = wanted = Wanted(is_of_test)
        audit_of(config).listen((*NAMES, *ADDRESSES), wanted.hear)
    return config.stash[wanted_key]


def isolation_of(config: pytest.Config) -> Isolation:
    if isolation_key not in config.stash:
        with config.stash[originals_key].in_place():
            from .._isolation.isolation import Isolation

        wanted_of(config)
        config.stash[isolation_key] = isolation = Isolation(audit_of(config))
        config.add_cleanup(isolation.close)
    return config.stash[isolation_key]


@contextlib.contextmanager
def _around(fixturedef: pytest.FixtureDef[Any], isolation: Isolation) -> Iterator[None]:
    """Set up a fixture of a wider scope than a test where it belongs, and see to it that it is torn down there.

    Inside if its scope is not wider than that of the namespace, outside if it is: it is meant to outlive the namespace.
    Its teardown may come at any time: in a later test, isolated or not, or in the set-up of one that has another
    parameter for it.
    """
    test_ns = isolation.where_for(fixturedef.scope)
    with contextlib.ExitStack() as stay:
        # Finalizers run in the reverse order, so that what the fixture itself adds is in between.
        teardown = contextlib.ExitStack()
        fixturedef.addfinalizer(teardown.close)
        stay.callback(fixturedef.addfinalizer, lambda: teardown.enter_context(isolation.at(test_ns)))
        stay.enter_context(isolation.at(test_ns))
        if test_ns is None:
            stay.enter_context(isolation.outside_fixtures.of(fixturedef.argname, fixturedef.scope))
        yield


@contextlib.contextmanager
def _open(config: pytest.Config, ns: NetNS, scope: str, nodeid: str, *, is_checked: bool) -> Iterator[TestNamespace]:
    """Have a namespace for tests of a scope, and tell at the end of threads that cannot leave it."""
    isolation = isolation_of(config)
    with isolation.open(ns, _scopes_inside(scope)) as test_ns:
        yield test_ns
        found = [] if scope == SCOPES[-1] else isolation.left_in(test_ns)
    if found:
        text = STAYING.format(threads=", ".join(found), owner="this test" if scope == SCOPES[0] else f"its {scope}")
        if is_checked:
            config.stash[leaks_key].add(text)
        else:
            notice(config, text, nodeid)  # a suite that knows nothing of us is to pass


def _make(config: pytest.Config, label: str, *, leak_checked: bool) -> NetNS:
    given = config.stash[session_key].options((label,), {})
    return make(config, given, leak_checked=leak_checked, complete=True)


@pytest.fixture
def _netns_isolated(request: pytest.FixtureRequest, netns_factory: MakeNetNS) -> Iterator[None]:
    config, scope = request.config, request.node.stash[scope_key]
    is_checked = config.stash[leaks_key].is_checked
    with contextlib.ExitStack() as undo:
        if scope != SCOPES[0]:
            test_ns = request.getfixturevalue(f"_netns_of_the_{scope}")
        else:
            if is_checked:
                ns = request.getfixturevalue("netns")
            else:
                # A suite that knows nothing of namespaces may leave behind what it likes: it did so before, too.
                ns = undo.enter_context(_make(config, "isolated", leak_checked=False))
            test_ns = undo.enter_context(_open(config, ns, scope, request.node.nodeid, is_checked=is_checked))
        undo.enter_context(isolation_of(config).inside(test_ns))
        yield


def _namespace_of_the(scope: Any) -> Any:
    @pytest.fixture(scope=scope, name=f"_netns_of_the_{scope}")
    def namespace(request: pytest.FixtureRequest, netns_factory: MakeNetNS) -> Iterator[TestNamespace]:
        config, nodeid = request.config, request.node.nodeid
        # What is in that of the session stays until the process ends, and harms no later test.
        is_checked = config.stash[leaks_key].is_checked and scope != SCOPES[-1]
        with _make(config, f"of the {scope}", leak_checked=is_checked) as ns:
            with _open(config, ns, scope, nodeid, is_checked=is_checked) as test_ns:
                yield test_ns

    return namespace


_netns_of_the_class = _namespace_of_the("class")
_netns_of_the_module = _namespace_of_the("module")
_netns_of_the_session = _namespace_of_the("session")
