"""Tests that run inside a namespace from set-up to teardown, and know nothing of it."""

from __future__ import annotations

import socket
import subprocess
import sys
import textwrap
from multiprocessing import resource_tracker
from pathlib import Path

import pytest

from pytest_netns._linux import proc
from tests.support.suites import ASYNCIO, read_suite

pytestmark = pytest.mark.second_kernel

HEAD = read_suite(__file__, "places")


def run(pytester: pytest.Pytester, suite: str, *options: str) -> pytest.RunResult:
    pytester.makepyfile(places=HEAD)  # what files of their own import
    pytester.makepyfile(HEAD + textwrap.dedent(suite))
    return pytester.runpytest_subprocess(*options)


ALL_INSIDE = read_suite(__file__, "all_inside")


def test_a_whole_test_is_inside(pytester: pytest.Pytester) -> None:
    run(pytester, ALL_INSIDE, "--netns-isolate=test").assert_outcomes(passed=4)


@pytest.mark.slow
def test_the_ini_twin_and_several_modes(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nnetns_isolate = test\nnetns_child_mode = resident, fork\n")
    # Those that ask for a namespace run in each mode, the others once.
    run(pytester, ALL_INSIDE).assert_outcomes(passed=7)


@pytest.mark.slow
def test_the_marker(pytester: pytest.Pytester) -> None:
    suite = """
        @pytest.mark.netns_isolate
        def test_marked():
            assert place() != HOME

        def test_unmarked():
            assert place() == HOME

        def test_marked_by_a_hook():
            assert place() != HOME

        @pytest.mark.netns_isolate
        @pytest.mark.netns_child_mode("fork", "mp:spawn")
        def test_modes(netns_child_mode, netns):
            assert place() == netns.inode
            assert netns.socket(child_mode=netns_child_mode)
    """
    pytester.makeconftest("""
        import pytest
        def pytest_collection_modifyitems(items):
            for item in items:
                if "by_a_hook" in item.name:
                    item.add_marker(pytest.mark.netns_isolate)
    """)
    run(pytester, suite).assert_outcomes(passed=5)


@pytest.mark.slow
def test_unittest_and_doctest(pytester: pytest.Pytester) -> None:
    suite = read_suite(__file__, "unittest_and_doctest")
    run(pytester, suite, "--netns-isolate=test", "--doctest-modules").assert_outcomes(passed=3)


@pytest.mark.slow
@pytest.mark.parametrize("plugin", ["asyncio", "anyio"])
def test_event_loops(pytester: pytest.Pytester, plugin: str) -> None:
    mark = {"asyncio": "pytest.mark.asyncio", "anyio": "pytest.mark.anyio"}[plugin]
    pytest.importorskip({"asyncio": "pytest_asyncio", "anyio": "anyio"}[plugin])
    suite = f"""
        import asyncio

        @{mark}
        @pytest.mark.parametrize("n", range(2))
        async def test_inside(n):
            assert place() != HOME
            if {plugin == "asyncio"}:
                server = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 80)
                server.close()
            else:
                import anyio
                assert await anyio.to_thread.run_sync(place) == place()
                await (await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=80)).aclose()
    """
    backends = 2 if plugin == "anyio" else 1  # asyncio and trio
    options = ASYNCIO if plugin == "asyncio" else ("-p", "anyio.pytest_plugin")
    run(pytester, suite, "--netns-isolate=test", *options).assert_outcomes(passed=2 * backends)


@pytest.mark.slow
def test_the_threads_of_a_wider_loop_go_along(pytester: pytest.Pytester) -> None:
    pytest.importorskip("pytest_asyncio")
    suite = """
        import asyncio, time

        @pytest.mark.asyncio(loop_scope="module")
        @pytest.mark.parametrize("n", range(3))
        async def test_inside(n):
            assert {await asyncio.to_thread(place) for _ in range(3)} == {place()}
            several = (asyncio.to_thread(lambda: (time.sleep(0.05), place())[1]) for _ in range(3))
            assert set(await asyncio.gather(*several)) == {place()}

        def test_after():
            assert place() != HOME
    """
    run(pytester, suite, "--netns-isolate=test", *ASYNCIO).assert_outcomes(passed=4)


@pytest.mark.slow
def test_the_threads_of_trio_go_along(pytester: pytest.Pytester) -> None:
    pytest.importorskip("trio")
    suite = """
        import time, trio

        @pytest.mark.parametrize("n", range(3))
        def test_inside(n):
            async def main():
                async with trio.open_nursery() as nursery:
                    for _ in range(3):
                        nursery.start_soon(look)

            async def look():
                assert await trio.to_thread.run_sync(lambda: (time.sleep(0.05), place())[1]) == place()

            trio.run(main)
    """
    run(pytester, suite, "--netns-isolate=test").assert_outcomes(passed=3)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["fork", "forkserver", "spawn"])
def test_multiprocessing(pytester: pytest.Pytester, method: str) -> None:
    suite = f"""
        import multiprocessing
        from multiprocessing import resource_tracker

        @pytest.mark.parametrize("n", range(2))
        def test_inside(n):
            context = multiprocessing.get_context({method!r})
            with context.Pool(1) as pool:
                assert pool.apply(place) == place()
            lock = context.Lock()  # for which the resource tracker is started

        def test_the_helpers_are_at_home():
            from multiprocessing import forkserver
            pids = resource_tracker._resource_tracker._pid, forkserver._forkserver._forkserver_pid
            assert any(pids) or {method!r} == "fork"
            for pid in filter(None, pids):
                assert os.stat(f"/proc/{{pid}}/ns/net").st_ino == HOME
    """
    run(pytester, suite, "--netns-isolate=test", "-W", "ignore::DeprecationWarning").assert_outcomes(passed=3)


COLLIDING = """
    import os
    import time

    WORKERS = 4

    def meet(what):
        # Wait for the same test of the other workers.
        open(f"{what}-{os.environ['PYTEST_XDIST_WORKER']}", "w").close()
        deadline = time.monotonic() + 240
        while sum(name.startswith(f"{what}-") for name in os.listdir(".")) < WORKERS:
            assert time.monotonic() < deadline
            time.sleep(0.01)

    def test_port():
        meet("begun")
        try:
            with socket.create_server(("127.0.0.1", 4711)):
                meet("tried")
        except OSError:
            meet("tried")
            raise
"""


@pytest.mark.slow
@pytest.mark.heavy
@pytest.mark.parametrize("isolate", ["off", "test", "worker"])
def test_ports_collide_only_without(pytester: pytest.Pytester, isolate: str) -> None:
    pytest.importorskip("xdist")
    result = run(pytester, COLLIDING, "--dist=each", "--tx=4*popen", f"--netns-isolate={isolate}")
    outcomes = result.parseoutcomes()
    if isolate == "off":
        assert outcomes == {"passed": 1, "failed": 3}
        result.stdout.fnmatch_lines(["*Address already in use*"])
    else:
        assert outcomes == {"passed": 4}


@pytest.mark.slow
@pytest.mark.heavy
def test_worker(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    outside = socket.create_server(("127.0.0.1", 0))
    port = outside.getsockname()[1]
    suite = f"""
        @pytest.fixture(scope="session")
        def server():
            with socket.create_server(("127.0.0.1", 80)) as server:
                yield place()

        @pytest.mark.parametrize("n", range(4))
        def test_wider_fixtures_share_it(n, server):
            assert place() == server == HOME
            socket.create_connection(("127.0.0.1", 80)).close()

        @pytest.mark.parametrize("n", range(4))
        def test_outside_is_out_of_reach(n):
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", {port}))

        def test_one_of_its_own(netns):
            assert netns.inode != HOME == place()
            with netns.enter():
                assert place() == netns.inode
    """
    with outside:
        run(pytester, suite, "--netns-isolate=worker").assert_outcomes(passed=9)
        run(pytester, suite, "--netns-isolate=worker", "-n2").assert_outcomes(passed=9)


@pytest.mark.slow
@pytest.mark.parametrize("isolate", ["test", pytest.param("worker", marks=pytest.mark.heavy)])
def test_the_note_in_the_report(pytester: pytest.Pytester, isolate: str) -> None:
    suite = read_suite(__file__, "refusals")
    result = run(pytester, suite, f"--netns-isolate={isolate}")
    result.assert_outcomes(failed=9)
    note = f"this test ran inside *, as given by --netns-isolate={isolate}: nothing outside can be reached; "
    wanted = ["192.0.2.7 port 4711", "192.0.2.8 port 4711", "the name host.example", "2001:db8::7 port 53"]
    wanted += ["the name other.example", "the name third.example", "192.0.2.9 port 4711"]
    result.stdout.fnmatch_lines(
        [f"{note}it wanted {what}" for what in wanted] + [f"{note}see above for what it wanted"]
    )
    assert sum(line.startswith("this test ran inside") for line in result.outlines) == 8


@pytest.mark.slow
def test_what_is_no_python_test_is_inside_for_its_call(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("""
        import os, pytest
        HOME = os.stat("/proc/self/ns/net").st_ino
        def pytest_collect_file(file_path, parent):
            if file_path.suffix == ".txt":
                return File.from_parent(parent, path=file_path)
        class File(pytest.File):
            def collect(self):
                yield Item.from_parent(self, name="it")
        class Item(pytest.Item):
            def runtest(self):
                assert os.stat("/proc/self/ns/net").st_ino != HOME
            def teardown(self):
                assert os.stat("/proc/self/ns/net").st_ino == HOME
    """)
    pytester.makefile(".txt", case="")
    pytester.runpytest_subprocess("--netns-isolate=test").assert_outcomes(passed=1)


def test_the_way_back_from_a_run_in_this_process(pytester: pytest.Pytester) -> None:
    home = Path("/proc/thread-self/ns/net").readlink()
    resource_tracker.ensure_running()  # in the original namespace, as a run that goes elsewhere would not
    pytester.makepyfile("def test(netns): pass")
    for isolate in ("test", "worker"):
        pytester.runpytest_inprocess(f"--netns-isolate={isolate}").assert_outcomes(passed=1)
        assert Path("/proc/thread-self/ns/net").readlink() == home


LEAVING = """
    kept = []
    go_on = threading.Event()

    @pytest.fixture(scope="session", autouse=True)
    def end():
        yield
        go_on.set()

    {mark}
    def test_socket():
        kept.append(socket.socket())

    {mark}
    def test_thread():
        threading.Thread(target=go_on.wait).start()
"""


@pytest.mark.slow
def test_what_is_left_is_named_where_the_test_asks_for_it(pytester: pytest.Pytester) -> None:
    result = run(pytester, LEAVING.format(mark="@pytest.mark.netns_isolate"), "-o", "netns_thread_timeout=0.1")
    assert result.parseoutcomes()["errors"] >= 2
    result.stdout.fnmatch_lines(["*descriptor * is open: socket:*"])
    result.stdout.fnmatch_lines(["*thread * still runs *"])


@pytest.mark.slow
def test_a_suite_that_knows_nothing_is_not_judged(pytester: pytest.Pytester) -> None:
    result = run(pytester, LEAVING.format(mark=""), "--netns-isolate=test", "-o", "netns_thread_timeout=1000")
    result.assert_outcomes(passed=2, warnings=0)


@pytest.mark.slow
def test_a_test_that_closes_its_namespace(pytester: pytest.Pytester) -> None:
    suite = """
        @pytest.fixture(scope="module")
        def wide():
            assert place() == HOME

        @pytest.mark.netns_isolate
        def test_closes(netns, request):
            inode = netns.inode
            netns.close()
            assert place() == inode
            request.getfixturevalue("wide")
            assert place() == inode

        def test_after():
            assert place() == HOME
    """
    run(pytester, suite).assert_outcomes(passed=2)


@pytest.mark.slow
def test_the_namespace_of_a_test_that_asks_for_it_late(pytester: pytest.Pytester) -> None:
    suite = """
        def test_late(request):
            assert place() == request.getfixturevalue("netns").inode
    """
    run(pytester, suite, "--netns-isolate=test").assert_outcomes(passed=1)


@pytest.mark.slow
def test_it_takes_privilege_or_a_user_namespace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(proc.ENTERED, raising=False)
    without = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    command = [*without, sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--netns-isolate=test"]
    for userns, text in (
        ("resident", "--netns-userns=resident makes none; valid here are: auto, process"),
        ("auto", "cannot become root in a user namespace: EPERM (Operation not permitted); pytest --netns-doctor"),
    ):
        done = subprocess.run([*command, f"--netns-userns={userns}"], check=False, capture_output=True, text=True)
        assert done.returncode == pytest.ExitCode.USAGE_ERROR
        assert text in done.stderr
        assert "Traceback" not in done.stderr
