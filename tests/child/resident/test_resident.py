"""The resident child: started on first use, shared by threads, replaced, and ended with its parent."""

from __future__ import annotations

import compileall
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import pytest_netns
from pytest_netns import NetNS
from pytest_netns._leaks.references import namespace_of_socket
from pytest_netns._netns.factory import Session
from tests.support.helpers import descriptors, eventually, is_running, named_namespaces


@pytest.fixture
def session() -> Iterator[Session]:
    made = Session()
    yield made
    made.close()


def pid_of(session: Session) -> int:
    pid = session.modes.resident.pid
    assert pid is not None
    return pid


def test_it_starts_on_first_use_and_ends_with_the_session() -> None:
    session = Session()
    assert session.modes.resident.pid is None
    session.namespace()
    pid = pid_of(session)
    assert is_running(pid)
    session.close()
    assert session.modes.resident.pid is None
    assert not is_running(pid)


def memory_of_its_own(pid: int) -> int:
    """Return what a process adds to the memory in use, in kB.

    Not what is resident (VmRSS): two thirds of that are pages of the interpreter's program, which pytest has mapped as
    well. They depend on how that was built: of 3.11 to 3.15, they are 6 to 9 MB.
    """
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(rollup.partition("Private_Dirty:")[2].split()[0])


def test_it_is_small_and_alone(session: Session) -> None:
    # As an installer does it; where Python is told to write no bytecode, the child would hold what it has compiled.
    compileall.compile_dir(Path(pytest_netns.__file__).parent, quiet=2)
    ns = session.namespace(name=f"small-{os.getpid()}")
    for _ in range(100):
        ns.socket().close()
    status = Path(f"/proc/{pid_of(session)}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    assert memory_of_its_own(pid_of(session)) <= (9 if sysconfig.get_config_var("Py_GIL_DISABLED") else 6) * 1024
    assert fields["Threads"] == "1"
    assert os.readlink(f"/proc/{pid_of(session)}/cwd") == "/"
    assert os.getsid(pid_of(session)) == pid_of(session)


@pytest.mark.slow
def test_its_size_and_descriptors_are_flat(session: Session) -> None:
    def state() -> tuple[int, int]:
        pid = pid_of(session)
        resident = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return len(os.listdir(f"/proc/{pid}/fd")), resident

    def work() -> None:
        for _ in range(200):
            with session.namespace(sysctl={"net.ipv4.ip_forward": 1}) as ns:
                ns.socket().close()

    work()
    fds, pages = state()
    for _ in range(3):
        work()
    # It is told to forget a namespace, and does not answer; and one that it makes ahead may not have been there yet.
    eventually(lambda: state()[0] <= fds + 1, "all namespaces are forgotten")
    assert state()[1] <= pages + 16


def test_a_dead_one_is_replaced_unnoticed(session: Session) -> None:
    ns = session.namespace(name=f"replaced-{os.getpid()}")
    for _ in range(5):
        pid = pid_of(session)
        os.kill(pid, signal.SIGKILL)  # not waited for: the next request may meet it alive, dying or dead
        ns.sysctl["net.ipv4.ip_forward"] = 1
        ns.socket().close()
        session.namespace().close()
        assert pid_of(session) != pid
        assert not is_running(pid)
    assert ns.name in named_namespaces()
    ns.close()
    assert ns.name not in named_namespaces()


def test_an_end_by_signals_that_others_send_is_not_its_end(session: Session) -> None:
    ns = session.namespace()
    pid = pid_of(session)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        os.kill(pid, number)
    ns.socket().close()
    assert pid_of(session) == pid


def test_threads_are_served_side_by_side(session: Session) -> None:
    ns = session.namespace()
    errors: list[BaseException] = []
    start = threading.Barrier(16)

    def body(port: int) -> None:
        try:
            start.wait()
            for _ in range(50):
                with ns.create_server(("127.0.0.1", port)) as sock:
                    assert sock.getsockname() == ("127.0.0.1", port)
                with session.namespace() as own, own.socket(socket.AF_INET6, socket.SOCK_DGRAM) as other:
                    other.bind(("::1", 53))
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=body, args=(port,)) for port in range(80, 96)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_threads_meet_its_death_together(session: Session) -> None:
    ns = session.namespace()
    stop = threading.Event()
    errors: list[BaseException] = []

    def body() -> None:
        while not stop.is_set():
            try:
                ns.socket().close()
            except Exception as error:
                errors.append(error)

    threads = [threading.Thread(target=body) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(20):
        pid = pid_of(session)
        os.kill(pid, signal.SIGKILL)
        eventually(lambda pid=pid: session.modes.resident.pid not in (pid, None), "it is replaced")  # type: ignore[misc]
    stop.set()
    for thread in threads:
        thread.join()
    assert [error for error in errors if "the resident child ended before it answered" not in str(error)] == []
    ns.socket().close()


def test_an_interrupted_request_does_not_answer_the_next(session: Session) -> None:
    """As Ctrl-C does: the answer to what was given up must not be taken for that to what comes next."""
    ns = session.namespace()
    before = descriptors()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    saved = signal.signal(signal.SIGUSR1, interrupt)
    try:
        for _ in range(300):
            timer = threading.Timer(0, os.kill, (os.getpid(), signal.SIGUSR1))
            try:
                timer.start()
                while True:
                    ns.socket(socket.AF_INET6, socket.SOCK_DGRAM).close()
            except KeyboardInterrupt:
                timer.join()
            with ns.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
                assert (sock.family, sock.type) == (socket.AF_INET, socket.SOCK_STREAM)
    finally:
        signal.signal(signal.SIGUSR1, saved)
    assert len(descriptors()) <= len(before) + 2


def test_it_ends_when_its_parent_does_also_if_others_hold_the_connection() -> None:
    program = """
import os, signal, sys
from pytest_netns._netns.factory import Session
session = Session()
session.namespace()
print(session.modes.resident.pid, flush=True)
if os.fork() == 0:
    print(os.getpid(), flush=True)
    signal.pause()  # a daemon of the code under test, which has inherited everything
signal.pause()
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        resident, daemon = int(run.stdout.readline()), int(run.stdout.readline())
        try:
            run.kill()
            eventually(lambda: not is_running(resident), "the resident child has seen its parent's end")
            assert is_running(daemon)
        finally:
            os.kill(daemon, signal.SIGKILL)


def test_a_session_is_closed_with_what_is_open(session: Session) -> None:
    spaces = [session.namespace(name=f"open-{os.getpid()}-{n}") for n in range(3)]
    process = spaces[0].popen(["sleep", "1000"])
    session.close()
    assert all(ns.closed for ns in spaces)
    assert process.returncode is not None
    assert not any(ns.name in named_namespaces() for ns in spaces)


@pytest.mark.slow
def test_a_thousand_namespaces(make_netns: Callable[..., NetNS]) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, limits[1]), limits[1]))
    try:
        spaces = [make_netns() for _ in range(1000)]
        assert len({ns.inode for ns in spaces}) == 1000
        spaces[500].create_server(("127.0.0.1", 80))
        for ns in spaces:
            ns.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.slow
def test_the_namespace_made_ahead_is_as_new_as_any(session: Session) -> None:
    for _ in range(50):
        with session.namespace(sysctl={"net.ipv4.ip_forward": 1}) as ns:
            assert ns.call(os.listdir, "/proc/thread-self/net/dev_snmp6") == ["lo"]
            ns.ipr.link("add", ifname="br0", kind="bridge")
        with session.namespace() as ns:
            assert ns.sysctl["net.ipv4.ip_forward"] == "0"
            assert ns.call(os.listdir, "/proc/thread-self/net/dev_snmp6") == ["lo"]
        with session.namespace(lo=False) as ns:
            assert not ns.ipr.link("get", index=1)[0]["flags"] & 1


def in_forked_child(func: Callable[[], object]) -> int:
    """Run a function in a forked child; return the child's pid once it is done, while it waits to be killed."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        func()
        os.write(write, b"x")
        signal.pause()
    assert os.read(read, 1) == b"x"
    os.close(read)
    os.close(write)
    return pid


def test_it_ends_with_the_session_also_where_a_forked_child_has_a_copy_of_the_connection(session: Session) -> None:
    session.namespace()
    process = session.modes.resident._process
    assert process is not None
    child = in_forked_child(lambda: None)
    try:
        session.close()
        assert process._popen.returncode == 0, "it ended by itself"
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def test_a_forked_child_that_closes_the_session_does_not_end_it_for_the_parent(session: Session) -> None:
    ns = session.namespace(name=f"forked-{os.getpid()}")
    pid = pid_of(session)
    child = in_forked_child(session.close)
    try:
        assert ns.name in named_namespaces()
        ns.socket().close()
        assert pid_of(session) == pid
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.parametrize("how", ["a channel", "another child"])
def test_what_a_thread_inside_asks_for_does_not_keep_the_namespace(session: Session, how: str) -> None:
    ns = session.namespace()
    process = session.modes.resident._process
    assert process is not None
    if how == "a channel":
        while process._idle:
            process._idle.pop().close()
    else:
        os.kill(pid_of(session), signal.SIGKILL)
        eventually(lambda: not is_running(process.pid), "it is dead")
    known = set(threading.enumerate())
    with ns.enter():
        ns.socket().close()
    assert set(threading.enumerate()) <= known, "no thread of ours counts as one that threading does not know"
    home = os.stat("/proc/self/ns/net").st_ino
    for fd in session.modes.descriptors():
        if os.readlink(f"/proc/self/fd/{fd}").startswith("socket:"):
            with socket.socket(fileno=os.dup(fd)) as sock:
                place = namespace_of_socket(sock)
                assert place is not None
                assert place[1] == home
