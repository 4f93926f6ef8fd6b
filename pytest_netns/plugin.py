"""The hooks and fixtures of pytest-netns."""

from __future__ import annotations

import contextlib
import functools
import os
import warnings
from collections.abc import Callable, Collection, Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from ._child import DEFAULT, check_mode
from ._errors import (
    ChildModeError,
    NetNSError,
    NetNSLeakError,
    NetNSLimitError,
    NetNSPermissionError,
    NetNSUnsupportedError,
)
from ._originals import Originals
from ._plugin.isolation import (
    _netns_isolated,
    _netns_of_the_class,
    _netns_of_the_module,
    _netns_of_the_session,
    around,
    is_isolated,
    is_marked,
    isolate,
    isolates_key,
    isolation_key,
    isolation_of,
    judged_key,
    left_key,
    scope_of,
    wanted_key,
    wanted_of,
)
from ._plugin.notices import notice
from ._plugin.requirements import pytest_netns_require, pytest_terminal_summary, require, wrong_requirements
from ._plugin.settings import DOCTOR, Settings, add_options, originals_key, parse_modes, settings_key
from ._plugin.watch import Watch

if TYPE_CHECKING:
    from ._netns.factory import Session
    from ._netns.namespace import MakeNetNS, NetNS

# Hooks of requirements.py, fixtures of scopes.py.
__all__ = [
    "_netns_isolated",
    "_netns_of_the_class",
    "_netns_of_the_module",
    "_netns_of_the_session",
    "pytest_netns_require",
    "pytest_terminal_summary",
]
__tracebackhide__ = True  # a failed test's report ends in the test; --full-trace shows the rest

watch_key = pytest.StashKey[Watch]()
wider_key = pytest.StashKey[set[pytest.FixtureDef[Any]]]()
"""The fixtures of a wider scope than a test's that are set up."""
session_key: pytest.StashKey[Session] = pytest.StashKey()
failed_setup_key = pytest.StashKey[pytest.TestReport]()
gone_key = pytest.StashKey[bool]()

CHILD_MODE = "netns_child_mode"
SESSION = "_netns_session"
WITHOUT_JOURNAL = (
    "there is no journal of all namespaces, so names and processes would stay if pytest and its resident child were "
    "both killed:"
)


def pytest_addoption(parser: pytest.Parser) -> None:
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "netns_child_mode(mode, ...): run the test once in each of these child modes, with the mode in its id "
        "(resident, fork, mp, mp:fork, mp:forkserver, mp:spawn).",
    )
    config.addinivalue_line(
        "markers",
        "netns_requires(name, ...): skip the test where the machine lacks one of these (veth, netem, nft, ...; "
        "--netns-doctor shows them all), or fail it under --netns-strict.",
    )
    config.addinivalue_line(
        "markers",
        "netns_isolate(scope='test'): run the whole test inside a netns of its own, with its fixtures, threads, "
        "processes and event loop; or inside that of its class, module or session, with the fixtures of this scope, "
        "too.",
    )
    config.stash[settings_key] = settings = Settings.from_config(config)
    config.stash[wider_key] = set()
    config.stash[originals_key] = originals = Originals()
    config.stash[watch_key] = watch = Watch(
        settings.child_modes[0],
        settings.thread_timeout,
        originals,
        functools.partial(_wider, config),
        functools.partial(notice, config),
        checks_leaks=settings.leaks != "ignore",
    )
    config.add_cleanup(watch.close)
    _go(config, settings)
    if gone_key in config.stash:
        wanted_of(config)


def _wider(config: pytest.Config) -> list[Any]:
    """Return what fixtures that outlive a test have made, and their way to tear it down, which holds the rest."""
    found: list[Any] = []
    for definition in config.stash[wider_key]:
        found += [definition.cached_result, getattr(definition, "_finalizers", None)]
    return found


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Go into a user namespace before there is any thread, and before anything of the tests is imported."""
    given = early_config.known_args_namespace
    if not given.help and not given.version:
        _go(early_config, Settings.from_config(early_config, early=True))


def _go(config: pytest.Config, settings: Settings) -> None:
    if gone_key in config.stash or (settings.userns != "process" and settings.isolate == "off"):
        return
    config.stash[gone_key] = True
    from ._isolation import startup
    from ._linux import entering

    try:
        home = startup.go(settings, config.known_args_namespace)
    except NetNSError as error:
        raise pytest.UsageError(str(error)) from None
    if home is not None:
        config.add_cleanup(lambda: os.close(home))
        config.add_cleanup(lambda: entering.enter(home, "the namespace that the process comes from"))
        if startup.is_worker():
            _configure_plugins_in(config, home)


def _configure_plugins_in(config: pytest.Config, home: int) -> None:
    """Let installed plugins be configured outside: pytest-rerunfailures connects a worker to its controller by TCP.

    What conftest files do as they are configured is of the tests, and stays inside.
    """
    from ._linux import entering, syscalls

    place = syscalls.open_own_namespace()
    config.add_cleanup(lambda: os.close(place))

    class Out:
        # Before the plugins and after the conftest files, since those registered last are called first.
        def pytest_configure(self) -> None:
            entering.enter(home, "the namespace that the process comes from")

    class In:
        @pytest.hookimpl(trylast=True)
        def pytest_configure(self) -> None:
            entering.enter(place, "the namespace of the worker")

    for part in (Out(), In()):
        config.pluginmanager.register(part)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    form = config.getoption(DOCTOR)
    if form is None:
        return None
    from ._doctor.findings import diagnose

    return diagnose(form)


def pytest_report_header(config: pytest.Config) -> str:
    from ._isolation import startup

    try:
        return f"netns: {startup.text(config.stash[settings_key])}"
    except OSError as error:
        return f"netns: not possible, since /proc cannot be read ({error.strerror})"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    wrong = wrong_requirements(metafunc.definition)
    if wrong:
        raise pytest.Collector.CollectError(wrong)  # as in _modes_of()
    marker = metafunc.definition.get_closest_marker(CHILD_MODE)
    if marker is not None:
        modes = _modes_of(marker, metafunc.definition)
    else:
        modes = metafunc.config.stash[settings_key].child_modes
        if len(modes) == 1 or not _uses_namespaces(metafunc.fixturenames):
            return
    if not _is_parametrised(metafunc.definition):
        if CHILD_MODE not in metafunc.fixturenames:  # parametrize() insists on it
            metafunc.fixturenames.append(CHILD_MODE)
        metafunc.parametrize(CHILD_MODE, modes, ids=modes, indirect=True)


def pytest_itemcollected(item: pytest.Item) -> None:
    wrong = wrong_requirements(item)
    if wrong:  # a method of unittest.TestCase, which is not generated
        raise pytest.UsageError(wrong)
    _check_parametrised_mode(item)
    is_parametrised = not isinstance(item, pytest.Function) or hasattr(item, "callspec")
    if not is_parametrised and item.get_closest_marker(CHILD_MODE) is not None:
        raise pytest.UsageError(
            f"{item.nodeid}: @pytest.mark.{CHILD_MODE} runs a test once in each mode, which pytest cannot do with a "
            f"method of unittest.TestCase; make it a function, or give --{CHILD_MODE.replace('_', '-')}"
        )


def _check_parametrised_mode(item: pytest.Item) -> None:
    params = getattr(getattr(item, "callspec", None), "params", {})
    try:
        check_mode(params.get(CHILD_MODE, DEFAULT))
    except ChildModeError as error:  # not as late as in set-up, where others have not set up what they tear down
        raise pytest.UsageError(f"{item.nodeid}: {CHILD_MODE}: {error}") from None


@pytest.hookimpl(trylast=True)  # the marker may come from hooks of others
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    isolate(config, items)


def _is_judged(item: pytest.Item) -> bool:
    """Whether a test asks for a namespace, and so has to leave everything as it was."""
    return _uses_namespaces(getattr(item, "fixturenames", ())) or is_marked(item)


def _uses_namespaces(fixtures: Collection[str]) -> bool:
    """Whether one of ours is among these, of which each is there that another needs."""
    return CHILD_MODE in fixtures or SESSION in fixtures


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    item.config.stash[judged_key] = _is_judged(item)
    if wanted_key in item.config.stash:
        item.config.stash[wanted_key].clear()
    if isolates_key in item.config.stash:
        # Before the guard looks, since it stays, and before the first fixture that is set up outside.
        isolation_of(item.config)
    watch = item.config.stash[watch_key]
    mode = _mode_of(item)
    watch.start(mode)
    if is_isolated(item):
        watch.prepare()
    if mode is not None or _is_judged(item):
        watch.begin(late=False)
    with _not_judged_if_it_fails(item):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> Iterator[Any]:
    if fixturedef.scope == "function":
        return (yield)
    # What a fixture of a wider scope makes is meant to outlive the test.
    request.config.stash[wider_key].add(fixturedef)
    with around(fixturedef, request.config), request.config.stash[watch_key].wider():
        return (yield)


def pytest_fixture_post_finalizer(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> None:
    request.config.stash[wider_key].discard(fixturedef)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    with _not_judged_if_it_fails(item), _inside_if_it_has_no_fixtures(item):
        return (yield)


@contextlib.contextmanager
def _inside_if_it_has_no_fixtures(item: pytest.Item) -> Iterator[None]:
    """Isolate what is no Python test, such as one of a YAML file: of that, the call."""
    if hasattr(item, "fixturenames") or scope_of(item) is None:
        yield
        return
    from ._isolation.isolation import in_new

    with in_new():
        yield


@contextlib.contextmanager
def _not_judged_if_it_fails(item: pytest.Item) -> Iterator[None]:
    try:
        yield
    except BaseException:
        # The exception's frames hold what the test has made, so it cannot be told what the test would have left.
        item.config.stash[watch_key].drop()
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.when == "setup" and report.failed:
        item.stash[failed_setup_key] = report
    if report.failed and call.excinfo is not None:
        try:
            _explain(item, report)
        except Exception as error:  # what is added to a report is not to change a result
            report.sections.append(("netns", f"what the test wanted of the network cannot be told: {error!r}"))
    return report


def _explain(item: pytest.Item, report: pytest.TestReport) -> None:
    """Add to a report what explains a failure by where the test was."""
    is_plain = not is_isolated(item) and _uses_namespaces(getattr(item, "fixturenames", ()))
    if wanted_key not in item.config.stash and not is_plain:
        return
    with item.config.stash[originals_key].in_place():
        from ._plugin import explanations

    text = report.longreprtext
    found = [*explanations.of(item, text), *(explanations.of_plain(text) if is_plain else ())]
    report.sections += [("netns", text) for text in found]


def _add_outputs(item: pytest.Item, session: Session) -> None:
    """Add to the reports what commands have written that ended with the test."""
    outputs, session.outputs = session.outputs, []
    for title, text in outputs:
        item.add_report_section("teardown", title, text)  # shown with the report of a failed call too
        if failed_setup_key in item.stash:  # but not with that of a failed set-up
            item.stash[failed_setup_key].sections.append((f"Captured {title} teardown", text))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    watch = item.config.stash[watch_key]
    try:
        with _not_judged_if_it_fails(item):
            result = yield
    finally:
        watch.end()
        session = item.config.stash.get(session_key, None)
        if session is not None:
            try:
                session.finish_closing()
            finally:
                _add_outputs(item, session)
    staying = item.config.stash.get(left_key, list[str]())
    item.config.stash[left_key] = []
    left = watch.left(staying)
    if nextitem is None:
        kept, unexplained = watch.left_at_the_end()
        left += kept
        for text in unexplained:
            notice(item.config, text)
    _report(item.config, item.nodeid, left)
    return result


def _report(config: pytest.Config, where: str, found: list[str]) -> None:
    if not found:
        return
    text = "\n".join([*found, "close it, join it, end it or wait for it before the test ends"])
    if config.stash[settings_key].leaks == "warn":
        warnings.warn(pytest.PytestWarning(f"{where}: {text}"), stacklevel=1)
    else:
        raise NetNSLeakError(text)


def _mode_of(item: pytest.Item) -> str | None:
    """Return the child mode that a test is parametrised with, if it is."""
    callspec = getattr(item, "callspec", None)
    if callspec is not None and CHILD_MODE in callspec.params:
        return check_mode(callspec.params[CHILD_MODE])
    return None


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


@pytest.fixture(scope="session")
def _netns_session(pytestconfig: pytest.Config) -> Iterator[Session]:
    originals = pytestconfig.stash[originals_key]
    with originals.in_place():
        from ._netns.factory import Session

    settings, watch = pytestconfig.stash[settings_key], pytestconfig.stash[watch_key]
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    session = Session(
        child_mode=lambda: watch.mode,
        child_timeout=settings.child_timeout,
        thread_timeout=settings.thread_timeout,
        name_suffix=f"-{worker}" if worker else "",
        userns="auto" if settings.userns == "process" else settings.userns,
        originals=originals,
    )
    pytestconfig.stash[session_key] = session
    watch.own(session)
    pytestconfig.add_cleanup(session.close)  # not here: the guard still looks, after all fixtures
    yield session
    try:
        session.close_namespaces()
    finally:
        if session.without_journal:
            notice(pytestconfig, f"{WITHOUT_JOURNAL} {session.without_journal}; pytest --netns-doctor says what to do")


@pytest.fixture
def netns_child_mode(pytestconfig: pytest.Config) -> str:
    """The child mode this test runs in."""
    watch = pytestconfig.stash[watch_key]
    watch.begin()  # if not before, since the test has asked by getfixturevalue()
    return watch.mode


@pytest.fixture(scope="session")
def _make_netns(pytestconfig: pytest.Config, _netns_session: Session) -> Callable[..., NetNS]:
    def make(*args: Any, **options: Any) -> NetNS:
        if options.get("judged", True):
            pytestconfig.stash[watch_key].begin()
        try:
            return _netns_session.namespace(*args, **options)
        except (NetNSPermissionError, NetNSUnsupportedError, NetNSLimitError):
            if not _netns_session.has_made_one:
                require(pytestconfig, ["netns"])  # says why none can be made at all
            raise

    return make


@pytest.fixture
def netns(request: pytest.FixtureRequest, netns_child_mode: str, _make_netns: Callable[..., NetNS]) -> Iterator[NetNS]:
    """A network namespace made for this test: loopback up, closed at the end of the test."""
    isolation = request.config.stash.get(isolation_key, None)
    if isolation is not None and isolation.place is not None:  # its scope's, or asked for by getfixturevalue()
        yield isolation.place.ns
        return
    with contextlib.ExitStack() as undo:
        yield _make_netns("netns", complete=is_isolated(request.node), own=undo.callback)


@pytest.fixture
def make_netns(netns_child_mode: str, _make_netns: Callable[..., NetNS]) -> Iterator[MakeNetNS]:
    """Make namespaces that are closed at the end of the test.

    make_netns(label=None, *, name=None, lo=True, sysctl=None, child_mode=None, child_timeout=None)
    """
    with contextlib.ExitStack() as undo:

        def make(*args: Any, **options: Any) -> NetNS:
            return _make_netns(*args, own=undo.callback, **options)

        yield make


@pytest.fixture
def netns_pair(make_netns: MakeNetNS) -> tuple[NetNS, NetNS]:
    """Two namespaces (left, right) joined by a veth link.

    eth0 on each side has 192.0.2.1/24 and 2001:db8::1/64 (left), 192.0.2.2/24 and 2001:db8::2/64 (right), ready to use.
    """
    from ._netns.pair import join

    left, right = make_netns("left"), make_netns("right")
    join(left, right)
    return left, right


@pytest.fixture(scope="session")
def netns_factory(_make_netns: MakeNetNS) -> MakeNetNS:
    """Make namespaces for fixtures of a wider scope: ``with netns_factory("lab") as ns: yield ns``.

    It takes what make_netns takes. What is still open at the end of the session is closed then.
    """
    return _make_netns
