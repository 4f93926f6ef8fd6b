"""A namespace that was closed is gone, or it is said who keeps it."""

from __future__ import annotations

import os
import signal
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_netns._leaks import pending
from pytest_netns._leaks.pending import UNEXPLAINED
from pytest_netns._leaks.references import holders_of
from pytest_netns._netns.factory import Session
from pytest_netns._netns.namespace import MakeNetNS, NetNS

Run = Callable[..., pytest.RunResult]

# What leaks here does so to a process that is nobody's child, so only who looks for the namespace finds it. Its pid is
# left in the file "pids", to be ended afterwards.
START = """
    import os, signal, socket, subprocess, sys, textwrap
    import pytest

    DAEMON = textwrap.dedent('''
        import os, signal, socket, sys, textwrap, threading
        from pytest_netns._linux import syscalls
        if os.fork():
            os._exit(0)
        os.setsid()
        fds = [int(fd) for fd in sys.argv[2:]]
        exec(textwrap.dedent(sys.argv[1]))
        with open("pids", "a") as file:
            print(os.getpid(), file=file)
        os.close(1)
        signal.pause()
    ''')

    def daemon(code, *fds):
        "Run code in a process that inherits descriptors, until its end is not to be expected any more."
        subprocess.run(
            [sys.executable, "-c", DAEMON, code, *map(str, fds)], pass_fds=fds, stdout=subprocess.PIPE, check=True
        )
"""


@pytest.fixture
def run(pytester: pytest.Pytester) -> Iterator[Run]:
    def run(code: str, *options: str, grace: float = 0.2) -> pytest.RunResult:
        pytester.makeconftest(f"from pytest_netns._leaks import pending\npending.GRACE = {grace}\npending.EVERY = 0.0")
        pytester.makepyfile(textwrap.dedent(START) + textwrap.dedent(code))
        return pytester.runpytest_subprocess(*options)

    yield run
    pids = pytester.path / "pids"
    for pid in pids.read_text().split() if pids.exists() else ():
        os.kill(int(pid), signal.SIGKILL)


INHERITED = """
    def test_leak(netns):
        daemon("", netns.create_server(("127.0.0.1", 80)).fileno())
"""
KEPT = {
    "a socket that a daemon has inherited": (
        INHERITED,
        "has descriptor * open: AF_INET SOCK_STREAM ('127.0.0.1', 80)",
    ),
    "the namespace itself, inherited by a daemon": (
        """
    def test_leak(netns):
        daemon("", netns.fileno())
        """,
        "has descriptor * open: the namespace itself",
    ),
    "a socket that was sent to another process": (
        """
    def test_leak(netns):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            socket.send_fds(ours, [b"x"], [netns.socket(socket.AF_INET6, socket.SOCK_DGRAM).fileno()])
            daemon("kept = socket.recv_fds(socket.socket(fileno=fds[0]), 1, 1)", theirs.fileno())
        """,
        "has descriptor * open: AF_INET6 SOCK_DGRAM ('::', 0, 0, 0)",
    ),
    "a thread of a process": (
        """
    def test_leak(netns):
        code = '''
            inside = threading.Event()
            def enter():
                syscalls.setns(fds[0])
                os.close(fds[0])
                inside.set()
                threading.Event().wait()
            threading.Thread(target=enter, daemon=True).start()
            inside.wait()
        '''
        daemon(code, netns.fileno())
        """,
        "is in it",
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("leak", KEPT)
def test_who_keeps_a_namespace_is_named(run: Run, leak: str) -> None:
    code, line = KEPT[leak]
    result = run(code)
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        [
            "*ERROR at teardown of test_leak*",
            "E*NetNSLeakError: namespace 'netns', closed in *::test_leak, is still there:",
            f"*process * (*python* -c *) {line}",
            "*close it, join it, end it or wait for it before the test ends",
        ]
    )


@pytest.mark.slow
def test_it_is_named_while_the_session_goes_on_and_once(run: Run) -> None:
    code = """
    @pytest.mark.parametrize("n", range(1000))
    def test_after(netns, n):
        pass
    """
    result = run(INHERITED + code, "-x")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    outcomes = result.parseoutcomes()
    assert outcomes["errors"] == 1
    assert outcomes["passed"] < 1000
    result.stdout.fnmatch_lines(
        ["*ERROR at teardown of test_after*", "*namespace 'netns', closed in *::test_leak, is still there:*"]
    )


@pytest.mark.slow
@pytest.mark.parametrize(("choice", "warnings"), [("warn", 1), ("ignore", 0)])
def test_it_is_a_warning_or_nothing(run: Run, choice: str, warnings: int) -> None:
    result = run(INHERITED, f"--netns-leaks={choice}")
    result.assert_outcomes(passed=1, warnings=warnings)
    if warnings:
        result.stdout.fnmatch_lines(["*PytestWarning: *namespace 'netns', closed in *::test_leak, is still there:"])


@pytest.mark.slow
def test_a_test_that_failed_or_has_an_error_already_is_not_judged(run: Run) -> None:
    result = run("""
    kept = []

    def test_failed(netns):
        daemon("", netns.fileno())
        assert not netns

    def test_named_by_the_guard(netns):
        kept.append(os.dup(netns.fileno()))

    def test_passed(netns):
        pass
    """)
    result.assert_outcomes(passed=2, failed=1, errors=1)
    result.stdout.fnmatch_lines(["*ERROR at teardown of test_named_by_the_guard*"])
    result.stdout.no_fnmatch_line("*is still there*")


def test_what_cannot_be_seen_is_a_warning(run: Run) -> None:
    """A descriptor that is under way between two sockets belongs to no process."""
    result = run("""
    kept = []

    @pytest.fixture(scope="module", autouse=True)
    def pair():
        kept.extend(socket.socketpair())
        yield

    @pytest.fixture(scope="session", autouse=True)
    def lives_longer_than_the_namespaces(netns_factory):
        pass

    def test_leak(netns):
        socket.send_fds(kept[0], [b"x"], [netns.socket().fileno()])

    def test_after(netns):
        pass
    """)
    result.assert_outcomes(passed=2, warnings=1)
    result.stdout.fnmatch_lines([f"*PytestWarning: namespace 'netns', closed in *::test_leak, {UNEXPLAINED[:40]}*"])


@pytest.mark.slow
def test_what_goes_by_itself_before_the_end_is_no_warning(run: Run) -> None:
    result = run(
        """
    kept = []

    @pytest.fixture(scope="module", autouse=True)
    def pair():
        kept.extend(socket.socketpair())
        yield

    @pytest.fixture(scope="session", autouse=True)
    def lives_longer_than_the_namespaces(netns_factory):
        pass

    def test_leak(netns):
        socket.send_fds(kept[0], [b"x"], [netns.socket().fileno()])

    @pytest.mark.parametrize("n", range(300))
    def test_after(netns, n):
        pass

    def test_end(netns):
        kept.pop().close()
    """,
        grace=0.3,
    )
    result.assert_outcomes(passed=302, warnings=0)


MANY = """
    import resource

    @pytest.fixture
    def many(netns_factory, make_netns):
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
        yield lambda make: [make() for _ in range(1500)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def test_many(many, netns_factory, make_netns):
        many({make})

    @pytest.mark.parametrize("n", range(100))
    def test_after(netns, n):
        pass
"""


@pytest.mark.slow
@pytest.mark.parametrize("make", ["netns_factory", "make_netns"])
def test_many_that_are_closed_at_once_are_not_kept(run: Run, make: str) -> None:
    """The kernel takes seconds for them, more than they are given, and takes the newest of a batch down first."""
    result = run(MANY.format(make=make))
    result.assert_outcomes(passed=101, warnings=0)


@pytest.fixture
def session() -> Iterator[Session]:
    made = Session()
    yield made
    made.close()


def test_what_nothing_refers_to_is_gone_before_the_kernel_takes_it_down(session: Session) -> None:
    opened = [session.namespace() for _ in range(300)]
    keys = [ns._handle.key for ns in opened]
    duplicate = os.dup(opened[200].fileno())
    try:
        assert session.modes.resident.still_there(keys) == set(keys)
        session.close_namespaces()
        assert session.modes.resident.still_there(keys) == {keys[200]}
    finally:
        os.close(duplicate)
    assert session.modes.resident.still_there(keys) == set()


def test_what_the_resident_child_had_no_time_to_forget_is_not_kept(session: Session) -> None:
    opened = [session.namespace() for _ in range(100)]
    pid = session.modes.resident.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        session.close_namespaces()
    finally:
        os.kill(pid, signal.SIGCONT)
    assert session.modes.resident.still_there([ns._handle.key for ns in opened]) == set()


def test_what_nobody_asks_about_is_not_remembered_for_ever(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pending, "MANY", 10)
    session.remains._many = 10
    kept = session.namespace("kept")
    duplicate = os.dup(kept.fileno())
    try:
        kept.close()
        for _ in range(50):
            session.namespace().close()
        remembered = dict(session.remains._closed)
    finally:
        os.close(duplicate)
    assert kept._handle.key in remembered
    assert len(remembered) <= 11
    assert set(session.remains._batch) == set(remembered)


# A connection whose peer is gone goes on sending for 100 seconds, which is the kernel's own business.
ORPHANS = """
    @pytest.mark.parametrize("n", range(3))
    def test_a_cable_is_pulled(netns_pair, n):
        left, right = netns_pair
        with right.create_server(("192.0.2.2", 80)), left.create_connection(("192.0.2.2", 80)) as client:
            right.ipr.link("set", index=right.ipr.link_lookup(ifname="eth0")[0], state="down")
            client.send(b"never acknowledged")

    @pytest.mark.parametrize("n", range(3))
    def test_a_cable_is_pulled_with_ipv6(netns_pair, n):
        left, right = netns_pair
        server = right.create_server(("2001:db8::2", 80), family=socket.AF_INET6)
        with server, left.create_connection(("2001:db8::2", 80)) as client:
            right.ipr.link("set", index=right.ipr.link_lookup(ifname="eth0")[0], state="down")
            client.send(b"never acknowledged")
"""


@pytest.mark.slow
def test_a_connection_that_nobody_holds_any_more_does_not_keep_a_namespace(run: Run) -> None:
    result = run(ORPHANS, grace=1.0)
    result.assert_outcomes(passed=6)
    assert result.duration < 60


def test_a_mount_is_named(netns: NetNS, tmp_path: Path) -> None:
    place = tmp_path / "mount"
    place.touch()
    netns.run(["mount", "--bind", "/proc/self/ns/net", str(place)], check=True)
    try:
        assert [
            text
            for text in holders_of(netns._handle.identity)
            if text.startswith(f"it is mounted at {place}, as process ")
        ]
    finally:
        netns.run(["umount", str(place)], check=True)


def test_threads_and_descriptors_of_this_process_are_named(make_netns: MakeNetNS) -> None:
    ns = make_netns()
    go_on = threading.Event()
    thread = ns.thread(target=go_on.wait, name="sleeper")
    thread.start()
    sock = ns.socket()
    try:
        mine = [text for text in holders_of(ns._handle.identity) if f"process {os.getpid()} " in text]
    finally:
        go_on.set()
        thread.join()
    assert [text for text in mine if text.startswith("thread 'sleeper' of process ")]
    assert [text for text in mine if text.endswith(f"has descriptor {ns.fileno()} open: the namespace itself")]
    assert [text for text in mine if f"has descriptor {sock.fileno()} open: AF_INET SOCK_STREAM" in text]
