"""Threads inside a namespace, and those that outlive it."""

from __future__ import annotations

import concurrent.futures
import inspect
import os
import threading
from collections.abc import Callable, Iterator

import pytest

from pytest_netns import NetNS, NetNSClosedError, NetNSLeakError
from pytest_netns._leaks.stacks import namespace_of
from pytest_netns._linux import syscalls
from pytest_netns._netns.factory import Session
from tests.support.helpers import descriptors, eventually, is_gone
from tests.support.suites import ASYNCIO, read_suite

pytestmark = pytest.mark.second_kernel

MakeNetNS = Callable[..., NetNS]
NOT_LONG = 0.2  # seconds to wait for a thread that is certain not to end


@pytest.fixture
def session() -> Iterator[Session]:
    """A session that does not wait long for threads."""
    made = Session(thread_timeout=NOT_LONG)
    yield made
    made.close()


def here() -> int:
    return os.stat("/proc/thread-self/ns/net").st_ino


def test_a_thread_runs_inside(netns: NetNS) -> None:
    seen: dict[str, object] = {}

    def body(key: str, *, value: object) -> None:
        seen[key] = value
        seen["where"] = here()
        seen["name"] = threading.current_thread().name

    thread = netns.thread(target=body, name="worker", args=("key",), kwargs={"value": 1}, daemon=True)
    assert thread.daemon
    thread.start()
    thread.join()
    assert seen == {"key": 1, "where": netns.inode, "name": "worker"}


def test_the_interfaces_are_the_standard_librarys() -> None:
    def parameters(func: Callable[..., object]) -> list[str]:
        return [name for name in inspect.signature(func).parameters if name not in ("self", "context")]

    assert parameters(NetNS.thread) == parameters(threading.Thread.__init__)
    ours = parameters(NetNS.executor)
    assert ours == parameters(concurrent.futures.ThreadPoolExecutor.__init__)[: len(ours)]


def test_a_pool_works_inside(netns: NetNS) -> None:
    begun: list[str] = []
    with netns.executor(2, "worker", begun.append, ("begun",)) as pool:
        assert set(pool.map(lambda _: here(), range(20))) == {netns.inode}
        assert pool.submit(lambda: threading.current_thread().name).result().startswith("worker")
    assert set(begun) == {"begun"}


def test_a_thread_that_is_started_too_late(make_netns: MakeNetNS) -> None:
    ns = make_netns()
    thread = ns.thread(target=print)
    ns.close()
    with pytest.raises(NetNSClosedError):
        thread.start()


@pytest.mark.parametrize("of", ["thread", "pool"])
def test_what_was_bound_in_a_thread_inside_is_closed_with_it(make_netns: MakeNetNS, of: str) -> None:
    before = descriptors()
    ns = make_netns()
    ipr, bound = ns.iproute(), threading.Event()

    def body() -> None:
        with pytest.warns(UserWarning, match="calling #bind from another thread"):
            ipr.bind()
        ns.ipr.bind()
        assert ipr.link_lookup(ifname="lo")
        bound.set()

    if of == "thread":
        ns.thread(target=body).start()
    else:
        ns.executor().submit(body)
    bound.wait()
    ns.close()  # waits for the thread
    assert descriptors() == before


def test_closing_ends_a_pool_that_was_forgotten(make_netns: MakeNetNS) -> None:
    ns = make_netns()
    pool = ns.executor(1)
    begun, go_on = threading.Event(), threading.Event()

    def body() -> int:
        begun.set()
        go_on.wait()
        return here()

    running = pool.submit(body)
    waiting = pool.submit(here)
    begun.wait()
    ns._on_close(go_on.set)
    ns.close()
    assert running.result() == ns.inode
    assert waiting.cancelled()
    with pytest.raises(RuntimeError, match="cannot schedule new futures after shutdown"):
        pool.submit(here)


def blocked_in_a_test(go_on: threading.Event, started: threading.Event) -> None:
    started.set()
    go_on.wait()


@pytest.mark.parametrize("how", ["thread", "pool", "entered", "bound", "used"])
def test_a_thread_that_does_not_end_is_named(session: Session, how: str) -> None:
    ns = session.namespace("lab")
    started, go_on = threading.Event(), threading.Event()

    def body() -> None:
        if how in ("bound", "used"):
            getattr(ns.ipr, "bind" if how == "bound" else "get_links")()
        if how == "entered":
            with ns.enter():
                blocked_in_a_test(go_on, started)
        else:
            blocked_in_a_test(go_on, started)

    if how == "pool":
        future = ns.executor(1, "culprit").submit(body)
    else:
        thread = (ns.thread if how == "thread" else threading.Thread)(target=body, name="culprit")
        thread.start()
    started.wait()
    with pytest.raises(NetNSLeakError) as raised:
        ns.close()
    text = str(raised.value)
    assert text.startswith("namespace 'lab': thread 'culprit")
    assert f"still runs {NOT_LONG} s after the namespace was closed" in text
    assert ("the namespace, being inside" in text) == (how in ("thread", "pool", "entered"))
    assert ("an open pyroute2 object" in text) == (how in ("bound", "used"))
    assert "in blocked_in_a_test\n    go_on.wait()" in text
    go_on.set()
    if how == "pool":
        future.result()
    else:
        thread.join()
    eventually(lambda: is_gone(ns), "nothing holds the namespace any more")


def test_the_descriptors_of_a_thread_that_does_not_end_are_closed(session: Session) -> None:
    before = descriptors()
    ns = session.namespace("lab")
    started, go_on = threading.Event(), threading.Event()
    errors: list[OSError] = []

    def body() -> None:
        ipr = ns.iproute()
        ipr.bind()
        blocked_in_a_test(go_on, started)
        try:
            tuple(ipr.get_links())
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    started.wait()
    with pytest.raises(NetNSLeakError):
        ns.close()
    left = {fd: what for fd, what in descriptors().items() if fd not in before}
    session.close()
    go_on.set()
    thread.join()
    assert [type(error) for error in errors] == [OSError]
    assert len(left) <= 4  # the resident child's: control, channel, and what it wrote
    assert descriptors().keys() <= before.keys()


def test_a_thread_that_ends_in_time_is_no_leak(netns: NetNS) -> None:
    started, go_on = threading.Event(), threading.Event()

    def body() -> None:
        netns.ipr.bind()
        blocked_in_a_test(go_on, started)

    threading.Thread(target=body).start()
    started.wait()
    netns._on_close(go_on.set)


def test_the_error_is_the_tests_own(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import threading

        go_on, started = threading.Event(), threading.Event()

        def wait_for_ever():
            started.set()
            go_on.wait()

        def test_leak(netns):
            netns.thread(target=wait_for_ever, name="server").start()
            started.wait()

        def test_after(netns):
            go_on.set()
    """)
    result = pytester.runpytest("-o", "netns_thread_timeout=0.2")
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_leak*",
            "E*NetNSLeakError: namespace 'netns': thread 'server' still runs 0.2 s after the namespace was closed*",
            "E*go_on.wait()",
            "E*let it end, and join it, before the test ends",
        ]
    )


POOLS = read_suite(__file__, "threads_pools")


def test_a_thread_that_waits_in_a_pool_of_others_is_no_leak(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(POOLS)
    result = pytester.runpytest_subprocess(*ASYNCIO, "-o", "netns_thread_timeout=0.2", "-Werror::ResourceWarning")
    result.assert_outcomes(passed=5)


@pytest.mark.parametrize("error", [FileNotFoundError, ProcessLookupError, PermissionError])
def test_a_thread_that_just_ends_is_nowhere(error: type[OSError], monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux 6.1 says EACCES for one that has given up its memory and is still listed."""

    def refuse(_: object) -> None:
        raise error

    monkeypatch.setattr(syscalls, "namespace_id", refuse)
    assert namespace_of(threading.current_thread()) is None
