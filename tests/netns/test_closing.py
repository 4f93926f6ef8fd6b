"""Closing is a state: what an interrupted or failed call has not done, the next one does, and each wait has a bound."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from unittest import mock

import pytest

from pytest_netns import MakeNetNS, NetNS, NetNSError, NetNSLeakError
from pytest_netns._linux import syscalls
from pytest_netns._netns import commands, inhabitants
from pytest_netns._netns.factory import Session
from tests.netns.test_commands import sh
from tests.support.helpers import (
    PATIENCE,
    end_resident,
    eventually,
    is_gone,
    is_running,
    named_namespaces,
    needs_another_user,
    needs_privilege,
)
from tests.support.sabotaging import Sabotage, sabotaging  # noqa: F401 (a fixture)
from tests.support.suites import read_suite

STUBBORN = "trap '' TERM; echo ready; while :; do sleep 1000; done"


class Interrupt(Exception):
    """What the handler raises."""


@pytest.fixture
def session() -> Iterator[Session]:
    made = Session()
    yield made
    made.close()


@pytest.fixture
def alarm() -> Iterator[Callable[[float], None]]:
    """Have a signal handler raise after a time in seconds."""

    def handler(number: int, frame: FrameType | None) -> None:
        raise Interrupt

    before = signal.signal(signal.SIGALRM, handler)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds) and None
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def start(ns: NetNS, script: str) -> subprocess.Popen[bytes]:
    """Start a script, and wait until it says that it is ready."""
    process = ns.popen(sh(script), stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


@pytest.mark.slow
def test_a_second_call_goes_on_where_the_first_was_interrupted(
    session: Session, alarm: Callable[[float], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    ns = session.namespace(name=f"closing-{os.getpid()}")
    process = start(ns, STUBBORN)
    monkeypatch.setattr(inhabitants, "TERM_TIMEOUT", PATIENCE)
    alarm(0.05)
    with pytest.raises(Interrupt):
        ns.close()
    assert ns.closed
    assert ns.name in named_namespaces()  # and the resident child still knows the namespace
    ns._processes._inhabitants.kill_at = 0.0  # what was left of its time is over
    ns.close()
    assert process.returncode == -signal.SIGKILL
    assert ns.name not in named_namespaces()
    eventually(lambda: is_gone(ns), "the namespace is gone")


TIME_LIMIT = read_suite(__file__, "closing_time_limit")


@pytest.mark.slow
def test_a_time_limit_in_the_teardown_leaves_no_process(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(TIME_LIMIT)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*out of time*"])


@pytest.mark.slow
def test_control_c_in_the_teardown_leaves_no_process(pytester: pytest.Pytester) -> None:
    # As the handler of SIGINT does, which a run in the background of a shell ignores.
    pytester.makepyfile(TIME_LIMIT.replace('pytest.fail("out of time")', "raise KeyboardInterrupt"))
    result = pytester.runpytest_subprocess()
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert not is_running(int((pytester.path / "pids").read_text()))


@contextlib.contextmanager
def no_descriptor_to_spare() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(fd) for fd in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, limits[1]))
    fillers = []
    try:
        with contextlib.suppress(OSError):
            while True:
                fillers.append(os.open("/dev/null", os.O_RDONLY))
        yield
    finally:
        for fd in fillers:
            os.close(fd)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@contextlib.contextmanager
def as_nobody() -> Iterator[None]:
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@contextlib.contextmanager
def without_files() -> Iterator[None]:
    error = FileNotFoundError(2, "mocked")
    with contextlib.ExitStack() as stack:
        for name in ("listdir", "stat", "readlink", "open"):
            stack.enter_context(mock.patch.object(os, name, side_effect=error))
        stack.enter_context(mock.patch("builtins.open", side_effect=error))
        yield


TROUBLES = {
    "no descriptor to spare": no_descriptor_to_spare,
    "without files": without_files,
    "as nobody": pytest.param(as_nobody, marks=[needs_another_user, needs_privilege]),
}


@pytest.mark.parametrize("trouble", TROUBLES.values(), ids=TROUBLES.keys())
def test_processes_are_ended_also_where_this_one_cannot_look_for_them(
    session: Session, trouble: Callable[[], contextlib.AbstractContextManager[None]]
) -> None:
    ns = session.namespace()
    process = ns.popen(sh("setsid sh -c 'echo $$; exec sleep 1000' & echo ready; exec sleep 1000"), stdout=-1)
    assert process.stdout is not None
    pids = {process.stdout.readline().strip() for _ in range(2)} - {b"ready"}
    with trouble():
        ns.close()
    assert process.returncode == -signal.SIGTERM
    assert not [pid for pid in pids if is_running(int(pid))]


def test_what_is_inside_is_ended_by_the_next_call_where_the_resident_child_could_not_look(
    session: Session, sabotaging: Sabotage
) -> None:
    ns = session.namespace()
    process = start(ns, "setsid sleep 1000 & echo ready; exec sleep 1000")
    with mock.patch.object(session.modes.resident, "signal", side_effect=NetNSError("no look")):
        with pytest.raises(NetNSError, match="no look"):
            ns.close()
    assert process.returncode == -signal.SIGTERM  # a child of ours is signalled before anything is looked up
    assert ns._handle.key in session.modes.resident._namespaces
    ns.close()
    eventually(lambda: is_gone(ns), "the namespace is gone")


def test_a_name_that_cannot_be_removed_is_removed_by_the_next_call(session: Session, sabotaging: Sabotage) -> None:
    ns = session.namespace(name=f"closing-{os.getpid()}")
    sabotaging("resident", "umount", "EIO")
    with pytest.raises(NetNSError, match=f"cannot remove the name {ns.name}: EIO"):
        ns.close()
    sabotaging()
    end_resident(session)
    assert ns.name in named_namespaces()
    ns.close()
    assert ns.name not in named_namespaces()


def test_a_name_that_cannot_be_removed_is_removed_with_the_session(sabotaging: Sabotage) -> None:
    session = Session()
    ns = session.namespace(name=f"closing-{os.getpid()}")
    sabotaging("resident", "umount", "EIO")
    with pytest.raises(NetNSError):
        ns.close()
    sabotaging()
    end_resident(session)
    session.close()
    assert ns.name not in named_namespaces()


def test_a_process_whose_first_thread_has_ended_is_ended(make_netns: MakeNetNS) -> None:
    ns = make_netns()
    program = (
        "import ctypes, threading, time; threading.Thread(target=time.sleep, args=(1000,)).start(); "
        "print('ready', flush=True); ctypes.CDLL(None).pthread_exit(None)"
    )
    read, write = os.pipe()
    with ns.enter(), open(read, "rb") as pipe:
        subprocess.run(
            ["sh", "-c", 'setsid "$@" & echo $!', "sh", sys.executable, "-c", program], stdout=write, check=True
        )
        os.close(write)
        pid = int(next(line for line in pipe if line.strip() != b"ready"))
        eventually(lambda: "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text(), "its first thread has ended")
    assert os.listdir(f"/proc/{pid}/task") != [str(pid)]
    ns.close()
    eventually(lambda: not os.path.exists(f"/proc/{pid}"), "it is gone")


def test_a_thread_that_reads_the_output_is_not_waited_for(
    make_netns: MakeNetNS, monkeypatch: pytest.MonkeyPatch
) -> None:
    ns = make_netns()
    process = ns.popen(["true"], stdout=subprocess.PIPE)
    stdout = process.stdout
    assert stdout is not None
    monkeypatch.setattr(commands, "READ_TIMEOUT", 0.05)
    with open(f"/proc/self/fd/{stdout.fileno()}", "wb") as writer:  # as somebody outside holds it
        process.wait()
        reader = threading.Thread(target=stdout.read)
        reader.start()
        eventually(lambda: "pipe" in Path(f"/proc/self/task/{reader.native_id}/wchan").read_text(), "it reads")
        ns.close()
        writer.write(b"x")
    reader.join()
    eventually(lambda: stdout.closed, "the pipe is closed behind it")


@pytest.mark.slow
def test_a_stopped_resident_child_does_not_stop_the_end_of_many_namespaces() -> None:
    session = Session(child_timeout=5)  # in which one is made before, on a busy machine too
    spaces = [session.namespace() for _ in range(400)]
    pid = session.modes.resident.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    for ns in spaces:
        ns.close()
    session.close()
    assert not is_running(pid)


def test_a_socket_that_lingers_is_closed_at_once(netns_pair: tuple[NetNS, NetNS]) -> None:
    left, right = netns_pair
    right.create_server(("192.0.2.2", 80))
    client = left.create_connection(("192.0.2.2", 80))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 1000))
    client.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            client.send(bytes(1 << 16))
    client.setblocking(True)
    left.close()  # it would wait for a thousand seconds
    assert client.fileno() == -1


FROZEN = read_suite(__file__, "closing_frozen")


@pytest.mark.slow
def test_a_clock_that_stands_bounds_nothing(pytester: pytest.Pytester) -> None:
    pytest.importorskip("freezegun")
    pytester.makepyfile(FROZEN)
    result = pytester.runpytest_subprocess("--netns-thread-timeout=0.1", timeout=120)
    result.assert_outcomes(passed=8, errors=1)
    result.stdout.fnmatch_lines(["*NetNSLeakError*thread*still runs 0.1 s after the namespace was closed*"])


def test_what_a_command_has_started_in_the_original_namespace_is_named(make_netns: MakeNetNS) -> None:
    ns = make_netns()
    script = f"nsenter --net=/proc/{os.getpid()}/ns/net sh -c 'echo $$; exec sleep 1000' & echo ready; wait"
    process = ns.popen(sh(script), stdout=subprocess.PIPE)
    assert process.stdout is not None
    (pid,) = {int(line) for line in (process.stdout.readline() for _ in range(2)) if line != b"ready\n"}
    try:
        with pytest.raises(NetNSLeakError, match=rf"processes in the original namespace.*: {pid} \(sleep 1000\)"):
            ns.close()
        assert process.returncode == -signal.SIGTERM
        assert is_running(pid)
    finally:
        os.kill(pid, signal.SIGKILL)
    ns.close()


def test_a_command_that_cannot_be_watched_is_ended(make_netns: MakeNetNS, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(pid: int) -> int:
        raise OSError(errno.EMFILE, "no descriptor to spare")

    ns = make_netns()
    with monkeypatch.context() as patch:
        patch.setattr(syscalls, "open_pidfd", refuse)
        process = ns.popen(["sleep", "1000"])
    ns.close()
    assert process.returncode == -signal.SIGTERM
