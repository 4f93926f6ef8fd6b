"""The threads of isolated tests: those of pools that outlive a test, and those that libraries start by themselves."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.isolation.test_isolation import HEAD, run
from tests.support.suites import ASYNCIO

pytestmark = pytest.mark.slow

POOLS = {
    "executor": """
        from concurrent.futures import ThreadPoolExecutor
        def make(): return ThreadPoolExecutor(2)
        def do(pool, func): return pool.submit(func).result()
        def end(pool): pool.shutdown()
    """,
    "map": """
        from concurrent.futures import ThreadPoolExecutor
        def make(): return ThreadPoolExecutor(2)
        def do(pool, func): return list(pool.map(lambda _: func(), range(3)))[-1]
        def end(pool): pool.shutdown()
    """,
    "asyncio": """
        import asyncio
        def make(): return asyncio.new_event_loop()
        def do(pool, func): return pool.run_until_complete(pool.run_in_executor(None, func))
        def end(pool):
            pool.run_until_complete(pool.shutdown_default_executor())
            pool.close()
    """,
    "trio": """
        import trio
        def make(): return None
        def do(pool, func): return trio.run(trio.to_thread.run_sync, func)
        def end(pool): pass
    """,
    "anyio": """
        import anyio.from_thread
        def make():
            global portal
            portal = anyio.from_thread.start_blocking_portal("asyncio")
            return portal.__enter__()
        def do(pool, func):
            # The loop is in a thread of its own, outside: as a test in a loop of a wider scope, it goes in.
            here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
            async def work():
                syscalls.setns(here)
                try:
                    return await anyio.to_thread.run_sync(func)
                finally:
                    syscalls.setns(OUTSIDE)
            try:
                return pool.call(work)
            finally:
                os.close(here)
        def end(pool): portal.__exit__(None, None, None)
        OUTSIDE = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    """,
    "thread pool": """
        from multiprocessing.pool import ThreadPool
        def make(): return ThreadPool(2)
        def do(pool, func):
            found = {pool.apply(func), *pool.map(lambda _: func(), range(4)), *pool.imap(lambda _: func(), range(4))}
            assert len(found) == 1
            return found.pop()
        def end(pool):
            pool.close()
            pool.join()
    """,
}
SUITE = """
    @pytest.fixture(scope="session")
    def pool():
        pool = make()
        {warm_up}
        yield pool
        assert do(pool, place) == HOME
        end(pool)

    def threads_elsewhere():
        places = set()
        for task in os.listdir("/proc/self/task"):
            places.add(os.stat(f"/proc/self/task/{{task}}/ns/net").st_ino)
        return places - {{HOME, place()}}

    @pytest.mark.parametrize("n", range(3))
    def test_inside(pool, n):
        assert do(pool, place) == place() != HOME
        assert not threads_elsewhere()

    def test_wider(pool, wide):
        assert wide == HOME

    @pytest.fixture(scope="module")
    def wide(pool):
        return do(pool, place)

    def test_nothing_waits_inside(pool):
        assert not threads_elsewhere()

    @pytest.mark.netns_isolate
    def test_leaves_nothing(pool, netns):
        assert do(pool, place) == netns.inode

    def test_last(pool):
        assert do(pool, place) == place()
"""


@pytest.mark.parametrize("is_warm", [True, False], ids=["outside", "inside"])
@pytest.mark.parametrize("kind", POOLS)
def test_a_pool_of_a_wider_fixture(pytester: pytest.Pytester, kind: str, is_warm: bool) -> None:
    """Its threads do the work where the test is, wherever they are born, and wait for the next outside."""
    for module in {"trio": ["trio"], "anyio": ["anyio"]}.get(kind, []):
        pytest.importorskip(module)
    suite = textwrap.dedent(POOLS[kind]) + textwrap.dedent(
        SUITE.format(warm_up="assert do(pool, place) == HOME" if is_warm else "")
    )
    run(pytester, suite, "--netns-isolate=test").assert_outcomes(passed=7)


def test_what_reaches_nothing_outside(pytester: pytest.Pytester) -> None:
    """A session's loop, whose executor was started by a fixture outside, beside a service of the machine."""
    pytest.importorskip("pytest_asyncio")
    suite = """
        import asyncio, time, pytest_asyncio
        pytestmark = pytest.mark.asyncio(loop_scope="session")

        @pytest_asyncio.fixture(scope="session", loop_scope="session")
        async def database():
            with socket.create_server(("127.0.0.1", 0)) as server:
                await asyncio.to_thread(time.sleep, 0.01)
                yield server.getsockname()

        @pytest.mark.parametrize("n", range(2))
        async def test_it(database, n):
            with pytest.raises(ConnectionRefusedError):
                await asyncio.to_thread(socket.create_connection, database)
            assert await asyncio.to_thread(place) == place() != HOME
    """
    run(pytester, suite, "--netns-isolate=test", *ASYNCIO).assert_outcomes(passed=2)


def test_work_that_outlives_its_test(pytester: pytest.Pytester) -> None:
    """What a test gave to a pool and did not wait for is done in its namespace, and keeps that no longer."""
    suite = """
        from concurrent.futures import ThreadPoolExecutor
        given = []

        @pytest.fixture(scope="session")
        def pool():
            with ThreadPoolExecutor(1) as pool:
                yield pool

        def test_one(pool):
            go_on = threading.Event()
            pool.submit(go_on.wait)
            given.extend([go_on, place(), pool.submit(place), pool.submit(syscalls.namespace_cookie)])
            given.append(syscalls.namespace_cookie())

        def test_two(pool):
            go_on, inode, at, cookie, expected = given
            go_on.set()
            assert at.result() == inode
            assert cookie.result() == expected
            assert pool.submit(place).result() == place()
            paths = [f"/proc/self/fd/{fd}" for fd in os.listdir("/proc/self/fd")]
            links = [os.readlink(path) for path in paths if os.path.lexists(path)]
            assert f"net:[{inode}]" not in links or inode == place()
    """
    run(pytester, suite, "--netns-isolate=test").assert_outcomes(passed=2)


def test_a_namespace_that_a_thread_has_entered_itself_is_left_to_it(pytester: pytest.Pytester) -> None:
    suite = """
        from concurrent.futures import ThreadPoolExecutor

        def test_initializer(make_netns):
            ns = make_netns()
            with ThreadPoolExecutor(1, initializer=lambda: syscalls.setns(ns.fileno())) as pool:
                assert pool.submit(place).result() == pool.submit(place).result() == ns.inode

        def test_an_initializer_is_inside():
            found = []
            with ThreadPoolExecutor(1, initializer=lambda: found.append(place())) as pool:
                assert pool.submit(place).result() == place()
            assert found == [place()]

        def test_block(make_netns):
            ns = make_netns()
            with ns.enter():
                pool = ThreadPoolExecutor(1)
                assert pool.submit(place).result() == ns.inode
            assert pool.submit(place).result() == ns.inode
            pool.shutdown()

        def test_pool_of_a_namespace(netns, make_netns):
            ns = make_netns()
            assert ns.executor(1).submit(place).result() == ns.inode
            assert netns.executor(1).submit(place).result() == netns.inode
    """
    run(pytester, suite, "--netns-isolate=test").assert_outcomes(passed=4)


def test_a_thread_that_cannot_leave(pytester: pytest.Pytester) -> None:
    """It has an error instead of a result, and does no work of others where it is."""
    suite = """
        import ctypes
        from concurrent.futures import ThreadPoolExecutor

        def drop_privileges():
            # capset(2) of the calling thread only, unlike what setresuid() of the C library does.
            header = (ctypes.c_uint32 * 2)(0x20080522, 0)
            assert not ctypes.CDLL(None).capset(header, (ctypes.c_uint32 * 6)())

        @pytest.fixture(scope="module")
        def pool():
            with ThreadPoolExecutor(1) as pool:
                yield pool
                with pytest.raises(Exception, match="cannot enter it from a thread"):
                    pool.submit(place).result()

        def test_one(pool):
            with pytest.raises(Exception, match="of a pool cannot leave the namespace of the test"):
                pool.submit(drop_privileges).result()

        def test_two(pool):
            with pytest.raises(Exception, match="cannot enter it from a thread"):
                pool.submit(place).result()
    """
    run(pytester, suite, "--netns-isolate=test").assert_outcomes(passed=2)


OTHER_POOL = """
    # As twisted's: a module that nobody has adapted, by the name of its file.
    import queue, sys, types

    def load(file, function):
        code = compile(
            f"def {function}(work):\\n    while (job := work.get()) is not None:\\n        job[1].put(job[0]())\\n",
            file, "exec",
        )
        space = {}
        exec(code, space)
        return space[function]
"""


@pytest.mark.parametrize(
    ("file", "function"), [("/x/twisted/_threads/_threadworker.py", "work"), ("/x/gevent/threadpool.py", "run")]
)
def test_a_pool_that_is_not_known_how_to_give_work(pytester: pytest.Pytester, file: str, function: str) -> None:
    suite = (
        textwrap.dedent(OTHER_POOL)
        + f"FILE, FUNCTION = {file!r}, {function!r}\n"
        + textwrap.dedent("""
        @pytest.fixture(scope="session")
        def do():
            work, answers = queue.Queue(), queue.Queue()
            thread = threading.Thread(target=load(FILE, FUNCTION), args=(work,))
            thread.start()
            def do(func):
                work.put((func, answers))
                return answers.get()
            yield do
            work.put(None)
            thread.join()

        def look():
            socket.socket().close()
            return place()

        @pytest.fixture(scope="module")
        def wide(do):
            return do(look)

        @pytest.mark.parametrize("n", range(3))
        def test_inside(do, n):
            assert do(look) == place()

        def test_wider(do, wide):
            assert wide == HOME

        def test_dedicated():
            found = []
            thread = threading.Thread(target=lambda: found.append(look()))
            thread.start()
            thread.join()
            assert found == [place()]
        """)
    )
    run(pytester, suite, "--netns-isolate=test").assert_outcomes(passed=5)


def test_a_thread_of_a_wider_fixture_stays_where_it_is(pytester: pytest.Pytester) -> None:
    suite = """
        import queue

        @pytest.fixture(scope="module")
        def server():
            asked, answers = queue.Queue(), queue.Queue()
            def serve():
                while asked.get():
                    socket.socket().close()
                    answers.put(place())
            thread = threading.Thread(target=serve)
            thread.start()
            def ask():
                asked.put(True)
                return answers.get()
            yield ask
            asked.put(False)
            thread.join()

        @pytest.mark.parametrize("n", range(2))
        def test_it(server, n):
            assert server() == HOME != place()
    """
    run(pytester, suite, "--netns-isolate=test").assert_outcomes(passed=2)


NATIVE = """
    import ctypes
    libc = ctypes.CDLL(None)
    libc.pause.argtypes = [ctypes.c_void_p]
    libc.pthread_create.argtypes = [ctypes.c_void_p] * 4

    def start(name):
        thread = ctypes.c_void_p()
        assert not libc.pthread_create(ctypes.byref(thread), None, ctypes.cast(libc.pause, ctypes.c_void_p), None)
        libc.pthread_setname_np(thread, name)
"""


def test_threads_of_libraries(pytester: pytest.Pytester) -> None:
    """They are named in the test that started them, with the remedy, and no later test is blamed."""
    suite = textwrap.dedent(NATIVE) + textwrap.dedent("""
        {mark}
        def test_before():
            pass

        {mark}
        def test_starts():
            start(b"worker-1")
            start(b"worker-2")

        {mark}
        @pytest.mark.parametrize("n", range(3))
        def test_later(n):
            pass
    """)
    result = run(pytester, suite.format(mark="@pytest.mark.netns_isolate"))
    result.assert_outcomes(passed=5, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_starts*"])
    result.stdout.fnmatch_lines(
        [
            "*threads * are inside * this test and stay there: 'worker-1' (*), 'worker-2' (*). *scope='session'*",
        ]
    )
    run(pytester, suite.format(mark="@pytest.mark.netns_isolate"), "--netns-leaks=ignore").assert_outcomes(passed=5)


def test_threads_of_libraries_in_a_suite_that_knows_nothing(pytester: pytest.Pytester) -> None:
    suite = textwrap.dedent(NATIVE) + textwrap.dedent("""
        def test_starts():
            start(b"worker-1")

        @pytest.mark.parametrize("n", range(3))
        def test_later(n):
            pass

        def test_the_same_again():
            start(b"worker-2")
    """)
    pytester.makeini("[pytest]")
    # A warning, also where warnings are errors; one for each thread.
    result = run(pytester, suite, "--netns-isolate=test", "-W", "error")
    result.assert_outcomes(passed=5, warnings=2)
    result.stdout.fnmatch_lines(["*worker-1*", "*worker-2*"])
    pytest.importorskip("xdist")
    result = run(pytester, suite, "--netns-isolate=test", "-n1")
    result.assert_outcomes(passed=5, warnings=2)


@pytest.mark.parametrize("scope", ["class", "module", "session"])
def test_threads_of_libraries_in_a_wider_scope(pytester: pytest.Pytester, scope: str) -> None:
    suite = textwrap.dedent(NATIVE) + textwrap.dedent(f"""
        @pytest.mark.netns_isolate(scope={scope!r})
        class TestIt:
            def test_starts(self):
                start(b"worker-1")

            def test_last(self):
                pass
    """)
    result = run(pytester, suite)
    result.assert_outcomes(passed=2, errors=0 if scope == "session" else 1)
    if scope != "session":
        result.stdout.fnmatch_lines(["*ERROR at teardown of TestIt.test_last*", f"*of its {scope} and stay there*"])


def test_threads_that_end_in_time_are_not_named(pytester: pytest.Pytester) -> None:
    suite = textwrap.dedent(NATIVE) + textwrap.dedent("""
        @pytest.mark.netns_isolate
        def test_it():
            libc.usleep.argtypes = [ctypes.c_void_p]
            thread = ctypes.c_void_p()
            func = ctypes.cast(libc.usleep, ctypes.c_void_p)
            assert not libc.pthread_create(ctypes.byref(thread), None, func, 20_000)
    """)
    run(pytester, suite).assert_outcomes(passed=1)


def test_uvloop_says_where_it_looks_names_up(pytester: pytest.Pytester, tmp_path: Path) -> None:
    """A name server in the namespace of each test; libuv's threads stay in that of the first."""
    pytest.importorskip("uvloop")
    pytester.makepyfile("""
        import asyncio, socket, threading
        import pytest, uvloop

        @pytest.fixture(autouse=True)
        def name_server():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
                server.bind(("127.0.0.1", 53))
                def serve():
                    while (question := server.recvfrom(512))[0] != b"end":
                        data, address = question
                        is_a = data[-4:-2] == b"\\0\\1"
                        answer = b"\\xc0\\x0c\\0\\1\\0\\1\\0\\0\\0\\5\\0\\4" + bytes([127, 0, 0, 9]) if is_a else b""
                        head = data[:2] + b"\\x81\\x80" + data[4:6] + (b"\\0\\1" if is_a else b"\\0\\0") + bytes(4)
                        server.sendto(head + data[12:] + answer, address)
                thread = threading.Thread(target=serve)
                thread.start()
                yield
                server.sendto(b"end", server.getsockname())
                thread.join()

        async def look():
            loop = asyncio.get_running_loop()
            found = await loop.getaddrinfo("host.example", 80, family=socket.AF_INET, type=socket.SOCK_STREAM)
            return found[0][4][0]

        def test_one():
            assert uvloop.run(look()) == "127.0.0.9"

        def test_two():
            assert uvloop.run(look()) == "127.0.0.9"

        def test_asyncio():
            assert asyncio.run(look()) == "127.0.0.9"
    """)
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    mount = f'mount --bind {tmp_path}/resolv.conf /etc/resolv.conf && exec "$@"'

    def outcomes(isolate: str) -> tuple[str, list[str]]:
        pytest_run = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
        command = ["unshare", "--mount", "sh", "-c", mount, "sh", *pytest_run, f"--netns-isolate={isolate}"]
        done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=pytester.path)
        return done.stdout, [line.partition(" - ")[0] for line in done.stdout.splitlines() if line.startswith("FAILED")]

    shown, failed = outcomes("test")
    assert [line.rpartition("::")[2] for line in failed] == ["test_two"]
    assert "libuv" in shown or "python" in shown
    assert "threads that were not started by Python are inside the namespace of this test and stay there" in shown
    assert (
        "threads that were not started by Python are inside the namespace of an earlier test, and look up names there: "
        in shown
    )
    for isolate in ("session", "worker"):
        shown, failed = outcomes(isolate)
        assert not failed, shown
        assert "not started by Python" not in shown


def test_the_hook_is_there_only_where_it_is_needed(pytester: pytest.Pytester) -> None:
    pytester.makeconftest("""
        import sys
        HOOKS = []
        original = sys.addaudithook
        def addaudithook(hook):
            HOOKS.append(hook)
            original(hook)
        sys.addaudithook = addaudithook
    """)
    suite = """
        from conftest import HOOKS
        {mark}
        def test_it({asks}):
            assert len(HOOKS) == {expected}
    """
    isolated = "@pytest.mark.netns_isolate"
    for mark, asks, expected in (("", "", 0), ("", "netns", 1), (isolated, "", 1), (isolated, "netns", 1)):
        result = run(pytester, suite.format(mark=mark, asks=asks, expected=expected))
        result.assert_outcomes(passed=1)


def test_nothing_is_replaced_after_the_run(pytester: pytest.Pytester) -> None:
    from concurrent.futures import ThreadPoolExecutor
    from multiprocessing.pool import ThreadPool

    def functions() -> list[object]:
        return [ThreadPoolExecutor.submit, ThreadPoolExecutor.__init__, ThreadPool.map, ThreadPool.apply_async]

    before = functions()
    pytester.makepyfile(HEAD + "def test_it(): assert place() != HOME")
    pytester.runpytest_inprocess("--netns-isolate=test").assert_outcomes(passed=1)
    assert functions() == before
