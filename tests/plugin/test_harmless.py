"""Whatever a test does to its process, the plugin neither changes its result nor ends the run."""

from __future__ import annotations

import importlib.util
import sys
import textwrap
from pathlib import Path

import pytest

from tests.support.helpers import needs_privilege
from tests.support.suites import read_suite

pytestmark = pytest.mark.slow

BROKEN = read_suite(__file__, "harmless_broken")
KINDS = 19  # of what is harmless
ALL_KINDS = KINDS + 7
PYFAKEFS = ("-p", "fakefs")  # as a plugin, it leaves pytest's own files alone


def run(pytester: pytest.Pytester, code: str, *options: str) -> pytest.RunResult:
    pytester.makeconftest(BROKEN)
    pytester.makepyfile(f"import os, socket, sys, threading\nimport pytest\n{textwrap.dedent(code)}")
    return pytester.runpytest_subprocess("-o", "netns_thread_timeout=0.1", *options)


@pytest.mark.parametrize("options", [(), ("-W", "error"), ("--netns-isolate=test",)], ids=" ".join)
def test_a_test_that_fails_with_something_broken(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    code = """
    def test_that_knows_nothing(broken):
        assert 0

    def test_with_a_namespace(netns, broken):
        netns.socket
        assert 0

    def test_after(netns):
        netns.socket()
    """
    result = run(pytester, code, *PYFAKEFS, *options)
    result.assert_outcomes(failed=2 * ALL_KINDS, passed=1)
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


def test_a_set_up_that_fails_with_something_broken(pytester: pytest.Pytester) -> None:
    code = """
    @pytest.fixture
    def fails(broken):
        assert 0

    def test_that_knows_nothing(fails):
        pass

    def test_with_a_namespace(netns, fails):
        pass

    def test_after(netns):
        netns.socket()
    """
    run(pytester, code, *PYFAKEFS).assert_outcomes(errors=2 * ALL_KINDS, passed=1)


USES = """
REAL = socket.socket

def use(netns):
    netns.create_connection(netns.create_server(("127.0.0.1", 0)).getsockname())
    assert netns.ipr.link_lookup(ifname="lo") == [1]
    assert netns.run(["/bin/true"]).returncode == 0
    assert netns.call(len, "ab") == 2
    assert netns.sysctl["net.ipv4.ip_forward"] in ("0", "1")
    assert type(netns.socket(child_mode="fork")) is REAL
    netns.popen(["/bin/sleep", "1000"])
    netns.close()
"""


@pytest.mark.parametrize("arguments", ["harmless, netns", "netns, harmless", "harmless, request"])
def test_a_namespace_works_with_something_replaced(pytester: pytest.Pytester, arguments: str) -> None:
    ask = "netns = request.getfixturevalue('netns')" if "request" in arguments else ""
    code = f"""
def test({arguments}):
    {ask}
    use(netns)

def test_after(netns):
    use(netns)
"""
    run(pytester, USES + code, *PYFAKEFS).assert_outcomes(passed=KINDS + 1)


def test_a_test_that_uses_up_all_descriptors_has_them_named(pytester: pytest.Pytester) -> None:
    code = """
    import resource

    kept = []

    def test_leak(netns):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, hard))
        netns.close()
        with pytest.raises(OSError):
            while True:
                kept.append(os.open("/dev/null", os.O_RDONLY))
    """
    result = run(pytester, code)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(["*descriptor 63 is open: /dev/null"])


@pytest.mark.parametrize("options", [(), ("-W", "error")], ids=["", "-W error"])
@pytest.mark.parametrize("argument", ["request", "request, netns_child_mode"])
def test_a_leak_check_that_is_not_possible_is_said_once(
    pytester: pytest.Pytester, options: tuple[str, ...], argument: str
) -> None:
    code = f"""
    import contextlib, resource

    @pytest.fixture(scope="module", autouse=True)
    def no_room():
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
        yield
        with contextlib.suppress(ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, before)

    @pytest.mark.parametrize("number", range(3))
    def test(number, {argument}):
        assert request.getfixturevalue("netns_child_mode") == "resident"
    """
    result = run(pytester, code, "-p", "no:cacheprovider", *options)
    result.assert_outcomes(passed=3, warnings=1)
    result.stdout.fnmatch_lines(["*the leak check is not possible, and this is said once: OSError: *open files*"])


@needs_privilege
def test_a_machine_without_proc(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        def test_passes():
            pass

        def test_fails():
            assert 0

        def test_namespace(netns):
            pass
        """
    )
    pytest_line = f"{sys.executable} -m pytest -p no:cacheprovider"
    result = pytester.run("unshare", "-m", "sh", "-c", f"mount -t tmpfs none /proc && exec {pytest_line}")
    result.assert_outcomes(passed=1, failed=1, errors=1)
    result.stdout.fnmatch_lines(["netns: *proc*", "E *NetNS*Error: *proc*"])


# Descriptors: what they are counts, not only their numbers.

UNDER_THE_SAME_NUMBER = {
    "a socket": ("open('/dev/null')", "socket.socket()", "socket:*"),
    "another file": ("open('/dev/null')", "open('/dev/zero')", "/dev/zero"),
    "an eventfd": ("__import__('select').epoll()", "io.FileIO(os.eventfd(0))", "anon_inode:*eventfd*"),
}


@pytest.mark.parametrize("kind", UNDER_THE_SAME_NUMBER)
def test_a_leak_under_the_number_of_what_was_closed(pytester: pytest.Pytester, kind: str) -> None:
    if "eventfd" in kind and sys.version_info < (3, 10):
        pytest.skip("os.eventfd")
    before, after, text = UNDER_THE_SAME_NUMBER[kind]
    code = f"""
    import io

    kept = [{before}]

    def test_leak(netns):
        number = kept[0].fileno()
        kept[0].close()
        kept[0] = {after}
        assert kept[0].fileno() == number
    """
    result = run(pytester, code)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines([f"*descriptor * is open: {text}"])


@pytest.mark.parametrize("capture", ["fd", "sys", "tee-sys", "no"])
def test_what_pytest_captures_with_is_no_leak(pytester: pytest.Pytester, capture: str) -> None:
    code = """
    def test_argument(netns, capfd):
        os.write(1, b"text")
        assert capfd.readouterr().out == "text"

    def test_request(request):
        request.getfixturevalue("netns")
        os.write(1, b"text")

    def test_both(request, capfd):
        with capfd.disabled():
            request.getfixturevalue("netns")
    """
    run(pytester, code, f"--capture={capture}").assert_outcomes(passed=3)


def test_a_pipe_is_a_leak_unless_it_is_a_lock(pytester: pytest.Pytester) -> None:
    code = """
    kept = []

    @pytest.mark.parametrize("content", [b"", b"1", b"12"])
    def test(netns, content):
        kept.append(os.pipe())
        os.write(kept[-1][1], content)
    """
    result = run(pytester, code)
    result.assert_outcomes(passed=3, errors=2)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test[[][]]*", "*ERROR at teardown of test[[]12[]]*"])


def test_uvloop_in_the_first_test(pytester: pytest.Pytester) -> None:
    pytest.importorskip("uvloop")
    code = """
    import uvloop

    async def nothing():
        pass

    kept = []

    def test_first(netns):
        uvloop.run(nothing())

    def test_leak(netns):
        kept.append(uvloop.new_event_loop())
        kept[0].run_until_complete(nothing())
    """
    result = run(pytester, code)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_leak*"])


HELD = read_suite(__file__, "harmless_held")


def test_what_a_wider_fixture_holds_is_no_leak(pytester: pytest.Pytester) -> None:
    run(pytester, HELD).assert_outcomes(passed=7)


def test_what_a_test_module_holds_is_one_though_a_wider_fixture_is_there(pytester: pytest.Pytester) -> None:
    code = """
    def test_leak(netns, app, submit, url):
        globals_of_the_tests.append(ThreadPool(1))
        globals_of_the_tests[-1].apply(os.getpid)

    def test_function_scope(netns, app, pool_of_a_test):
        pass

    def test_after(submit):
        pass

    @pytest.fixture
    def pool_of_a_test():
        pool = ThreadPool(1)
        yield
        threading.Thread(target=pool.apply, args=(go_on.wait,), daemon=True).start()
    """
    result = run(pytester, HELD.partition("def test_")[0] + textwrap.dedent(code))
    result.assert_outcomes(passed=3, errors=2)
    result.stdout.fnmatch_lines(["*thread * still runs 0.1 s after the test*"])


# What is asked for by getfixturevalue() is the same as what is an argument.


@pytest.mark.parametrize("fixture", ["netns", "netns_pair", "make_netns", "netns_factory", "netns_child_mode", "lab"])
def test_a_leak_of_a_test_that_asks_late(pytester: pytest.Pytester, fixture: str) -> None:
    code = f"""
    kept = []

    @pytest.fixture(scope="session")
    def lab(netns_factory):
        with netns_factory("lab") as ns:
            yield ns

    def test_before(request):
        request.getfixturevalue({fixture!r})

    def test_leak(request):
        made = request.getfixturevalue({fixture!r})
        if callable(made):
            made("a").close()
        kept.append(socket.socket())

    def test_after():
        kept.append(socket.socket())
    """
    result = run(pytester, code)
    if fixture == "lab":  # of a wider scope, and made before: the test makes nothing by which it could be told
        result.assert_outcomes(passed=3)
    else:
        result.assert_outcomes(passed=3, errors=1)
        result.stdout.fnmatch_lines(["*ERROR at teardown of test_leak*", "*descriptor * is open: socket:*"])


def test_the_mode_of_a_test_that_asks_late(pytester: pytest.Pytester) -> None:
    code = """
    import multiprocessing

    @pytest.fixture(scope="session")
    def lab(netns_factory):
        with netns_factory("lab") as ns:
            yield ns

    @pytest.mark.netns_child_mode("fork")
    def test_other(netns, lab):
        assert netns.child_mode == lab.child_mode == "fork"

    def test_default(request):
        assert request.getfixturevalue("lab").child_mode == "resident"
        assert request.getfixturevalue("netns").child_mode == "resident"

    @pytest.mark.netns_child_mode("fork", "mp:spawn")
    def test_marked(request):
        netns = request.getfixturevalue("netns")
        assert netns.child_mode == request.getfixturevalue("netns_child_mode") == request.node.callspec.id
        if netns.child_mode == "mp:spawn":
            assert multiprocessing.get_start_method(allow_none=True) == "spawn"

    def test_after():
        assert multiprocessing.get_start_method(allow_none=True) != "spawn"
    """
    run(pytester, code).assert_outcomes(passed=5)


@pytest.mark.parametrize("options", [(), ("--netns-isolate=test",)], ids=["", "isolated"])
def test_where_a_test_that_asks_late_is_to_be(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    code = """
    from pytest_netns._linux import syscalls

    def test_inside(request):
        with request.getfixturevalue("netns").enter():
            pass

    def test_left(request, make_netns):
        ns = make_netns("other")
        request.getfixturevalue("netns")
        request.addfinalizer(lambda: syscalls.setns(ns.fileno()))
    """
    result = run(pytester, code, *options)
    if options:
        result.assert_outcomes(passed=2)  # isolation takes it home
    else:
        result.assert_outcomes(passed=2, errors=1)
        result.stdout.fnmatch_lines(["*the main thread was left in namespace * (other); the plugin has moved it back"])


# Other plugins.


@pytest.mark.parametrize("options", [(), ("--allow-unix-socket",)], ids=["", "unix"])
def test_pytest_socket(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    pytest.importorskip("pytest_socket")
    code = """
    REAL = socket.socket

    @pytest.mark.netns_child_mode("resident", "fork", "mp:spawn", "mp:fork")
    def test_sockets(netns):
        assert socket.socket is not REAL
        server = netns.create_server(("127.0.0.1", 80))
        client = netns.create_connection(("127.0.0.1", 80))
        assert type(server) is type(client) is REAL

    def test_pyroute2(netns):
        assert netns.ipr.link_lookup(ifname="lo") == [1]
        import pyroute2
        assert pyroute2.config.SocketBase is REAL

    def test_commands(netns):
        netns.run(["true"], check=True)

    def test_it_still_guards(netns):
        with pytest.warns(UserWarning), pytest.raises(RuntimeError, match="A test tried to use socket.socket"):
            socket.socket()

    @pytest.mark.enable_socket
    def test_enabled(netns):
        server = netns.create_server(("127.0.0.1", 80))
        client = netns.create_connection(("localhost", 80))
        server.accept()[0].close()
    """
    run(pytester, code, "-p", "socket", "--disable-socket", *options).assert_outcomes(passed=8)


def test_pyroute2_is_imported_with_nothing_of_the_test(pytester: pytest.Pytester) -> None:
    code = """
    class Guarded(socket.socket):
        pass

    def test_first(netns, monkeypatch):
        netns.socket()
        assert "pyroute2" not in sys.modules  # who wants sockets only does not wait for it
        monkeypatch.setattr(socket, "socket", Guarded)
        monkeypatch.setattr(os, "getpid", lambda: 1)
        assert netns.ipr.link_lookup(ifname="lo") == [1]
        assert socket.socket is Guarded
        assert os.getpid() == 1

    def test_after(netns):
        import pyroute2.netlink.core
        assert not issubclass(pyroute2.netlink.core.NoClose, Guarded)
        assert pyroute2.config.SocketBase is socket.socket
        assert netns.ipr.link_lookup(ifname="lo") == [1]
    """
    run(pytester, code).assert_outcomes(passed=2)


def test_modules_are_imported_with_nothing_of_pyfakefs(pytester: pytest.Pytester) -> None:
    pytest.importorskip("pyfakefs")
    code = """
    def test_first(fs, request):
        netns = request.getfixturevalue("netns")
        netns.socket(child_mode="fork").close()
        assert netns.ipr.link_lookup(ifname="lo") == [1]
        assert not os.path.exists("/proc/self")

    def test_after(netns):
        assert sys.modules["pytest_netns._netns.factory"].Session
        import pyroute2
        assert pyroute2.netlink.core.os is os
        import multiprocessing.util
        assert multiprocessing.util.os is os
        netns.socket(child_mode="mp:spawn").close()
        netns.run(["true"], check=True)

    def test_fails(fs):
        assert 0
    """
    run(pytester, code, *PYFAKEFS).assert_outcomes(passed=2, failed=1)


REACHES_ITS_CONTROLLER = read_suite(__file__, "harmless_reaches_its_controller")


@needs_privilege
@pytest.mark.parametrize("plugin", ["pytest_rerunfailures", "of_this_test"])
@pytest.mark.parametrize("isolate", ["worker", "test"])
def test_a_worker_reaches_its_controller_by_tcp(pytester: pytest.Pytester, plugin: str, isolate: str) -> None:
    home = Path("/proc/self/ns/net").stat().st_ino
    pytester.makeconftest(
        """
        import os

        def pytest_configure(config):
            config.place = os.stat("/proc/self/ns/net").st_ino
        """
    )
    pytester.makepyfile(
        of_this_test=REACHES_ITS_CONTROLLER,
        test_it=f"""
        import os

        def test(request):
            here = os.stat("/proc/self/ns/net").st_ino
            assert here != {home}
            assert request.config.place == ({home} if {isolate == "test"} else here)
        """,
    )
    if plugin == "of_this_test":
        options = ["-p", plugin]
    else:
        pytest.importorskip(plugin)
        options = ["-p", "rerunfailures", "--reruns=1"]
    result = pytester.runpytest_subprocess("-n1", f"--netns-isolate={isolate}", *options)
    result.assert_outcomes(passed=1)


GREENLETS = read_suite(__file__, "harmless_greenlets")
PATCHES = {
    "gevent": "import gevent.monkey; gevent.monkey.patch_all()",
    "gevent, threads alone": "import gevent.monkey; gevent.monkey.patch_thread(); gevent.sleep()",
    "eventlet": "import eventlet; eventlet.monkey_patch(all=False, thread=True)",
}


@needs_privilege
@pytest.mark.parametrize("patch", PATCHES)
def test_greenlets_in_place_of_threads(pytester: pytest.Pytester, patch: str) -> None:
    module = "eventlet" if patch == "eventlet" else "gevent"
    if importlib.util.find_spec(module) is None:  # not imported here, where it would stay
        pytest.skip(f"without {module}")
    pytester.makepyfile(GREENLETS)
    program = f"{PATCHES[patch]}; import pytest; raise SystemExit(pytest.console_main())"
    result = pytester.run(sys.executable, "-W", "ignore", "-c", program)
    result.assert_outcomes(passed=6)
