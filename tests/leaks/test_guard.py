"""What a test leaves behind is an error that names it."""

from __future__ import annotations

import sys
import textwrap

import pytest

from pytest_netns._leaks.state import State
from tests.support.suites import read_suite

START = """
    import os, signal, socket, subprocess, sys, threading
    import pytest
    from pytest_netns._linux import syscalls

    kept = []
    go_on = threading.Event()
"""


def run(pytester: pytest.Pytester, code: str, *options: str) -> pytest.RunResult:
    pytester.makepyfile(textwrap.dedent(START) + textwrap.dedent(code))
    return pytester.runpytest_subprocess("-o", "netns_thread_timeout=0.1", *options)


LEAKS = {
    "a descriptor that was duplicated": (
        """
    def test_leak(netns):
        server = netns.create_server(("127.0.0.1", 80))
        kept.append(os.dup(server.fileno()))
        """,
        ["descriptor * is open: socket:[[]*[]], AF_INET SOCK_STREAM ('127.0.0.1', 80) in namespace * (netns)"],
    ),
    "a socket that was accepted and kept in a global": (
        """
    def test_leak(netns):
        server = netns.create_server(("127.0.0.1", 80))
        client = netns.create_connection(("127.0.0.1", 80))
        kept.append(server.accept()[0])
        """,
        ["descriptor * AF_INET SOCK_STREAM ('127.0.0.1', 80) connected to ('127.0.0.1', *) in namespace * (netns)"],
    ),
    "a socket in the original namespace": (
        """
    def test_leak(netns):
        kept.append(socket.socket(socket.AF_INET6, socket.SOCK_DGRAM))
        """,
        ["descriptor * is open: socket:[[]*[]], AF_INET6 SOCK_DGRAM ('::', 0, 0, 0)"],
    ),
    "a file": (
        """
    def test_leak(netns):
        kept.append(os.open("/dev/null", os.O_RDONLY))
        """,
        ["descriptor * is open: /dev/null"],
    ),
    "the namespace itself": (
        """
    def test_leak(netns):
        kept.append(os.open(netns.path, os.O_RDONLY))
        """,
        ["descriptor * is open: net:[[]*[]], namespace * (netns)"],
    ),
    "a thread": (
        """
    def wait_for_ever():
        go_on.wait()

    def test_leak(netns):
        threading.Thread(target=wait_for_ever, name="culprit", daemon=True).start()
        """,
        ["thread 'culprit' still runs 0.1 s after the test; it is at:", "*in wait_for_ever", "*go_on.wait()"],
    ),
    "a child": (
        """
    def test_leak(netns):
        kept.append(subprocess.Popen(["sleep", "1000"]))

    @pytest.fixture(scope="session", autouse=True)
    def end():
        yield
        kept[0].kill()
        kept[0].wait()
        """,
        ["child * still runs: sleep 1000"],
    ),
    "a zombie": (
        """
    def test_leak(netns):
        kept.append(os.fork())
        if kept[0] == 0:
            os._exit(0)
        os.waitid(os.P_PID, kept[0], os.WEXITED | os.WNOWAIT)
        """,
        ["child * is a zombie: nobody has waited for it"],
    ),
    "the main thread inside": (
        """
    def test_leak(netns):
        syscalls.setns(netns.fileno())
        """,
        ["the main thread was left in namespace * (netns); the plugin has moved it back"],
    ),
    "a fork server started inside": (
        """
    def test_leak(netns):
        import multiprocessing
        with netns.enter():
            process = multiprocessing.get_context("forkserver").Process(target=print)
            process.start()
        process.join()
        process.close()

    def test_home_again(netns):
        import multiprocessing
        here = os.stat("/proc/self/ns/net").st_ino
        with multiprocessing.get_context("forkserver").Pool(1) as pool:
            assert pool.apply(os.stat, ("/proc/self/ns/net",)).st_ino == here
            pool.close()
            pool.join()

        """,
        [
            "the ForkServer of multiprocessing, process *, was started inside namespace * (netns), where *",
            "the ResourceTracker of multiprocessing, process *, was started inside namespace * (netns), where *",
        ],
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_is_named_and_the_next_test_is_not_blamed(pytester: pytest.Pytester, leak: str) -> None:
    code, lines = LEAKS[leak]
    code += """
    def test_after(netns):
        assert os.stat("/proc/self/ns/net").st_ino != netns.inode
        """
    result = run(pytester, code)
    result.assert_outcomes(passed=code.count("def test_"), errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_leak*",
            "E*NetNSLeakError: left behind by the test:",
            *[f"*{line}" for line in lines],
            "*close it, join it, end it or wait for it before the test ends",
        ]
    )


@pytest.mark.slow
def test_where_a_socket_was_made_is_told_if_it_is_known(pytester: pytest.Pytester) -> None:
    code = """
    def made_here():
        return socket.socket()

    def test_leak(netns):
        kept.append(made_here())
    """
    pytester.makepyfile(textwrap.dedent(START) + textwrap.dedent(code))
    result = pytester.run("env", "PYTHONTRACEMALLOC=5", sys.executable, "-m", "pytest", "-q")
    result.stdout.fnmatch_lines(["*descriptor * AF_INET SOCK_STREAM*, made at", "*return socket.socket()"])


NO_LEAKS = read_suite(__file__, "guard_no_leaks")


@pytest.mark.slow
def test_what_is_no_leak(pytester: pytest.Pytester) -> None:
    run(pytester, NO_LEAKS).assert_outcomes(passed=8, xfailed=1)


@pytest.mark.slow
@pytest.mark.parametrize(("what", "warnings"), [("warn", 1), ("ignore", 0)])
def test_leaks_as_warnings_or_not_at_all(pytester: pytest.Pytester, what: str, warnings: int) -> None:
    result = run(pytester, LEAKS["a file"][0], f"--netns-leaks={what}")
    result.assert_outcomes(passed=1, warnings=warnings)
    if warnings:
        result.stdout.fnmatch_lines(["*PytestWarning: *::test_leak: left behind by the test:", "*/dev/null"])


def test_a_wrong_choice(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest("--netns-leaks=fail")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --netns-leaks: 'fail' is not valid; valid are: error, warn, ignore"])


def test_the_descriptor_of_the_look_itself_hides_none() -> None:
    before = State.now()
    with open("/dev/null") as file:  # gets the number that the look had
        assert State.now().new_descriptors(before) == {file.fileno()}
