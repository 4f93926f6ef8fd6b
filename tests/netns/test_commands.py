"""Commands in a namespace: as those of subprocess, and ended with it."""

from __future__ import annotations

import functools
import gc
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pytest_netns import MakeNetNS, NetNS, NetNSPermissionError
from pytest_netns._linux import syscalls
from pytest_netns._netns import inhabitants
from tests.support.helpers import children_of, needs_another_user, needs_privilege

pytestmark = pytest.mark.core

LONG = 60.0  # seconds: how long a test may hang before it fails; none waits for it
IN_WHICH = ["readlink", "/proc/self/ns/net"]


def sh(script: str) -> list[str]:
    return ["sh", "-c", script]


def child_states() -> list[str]:
    """Return the state of each child of ours, such as S or, of a zombie, Z."""
    stats = [Path(f"/proc/{pid}/stat").read_text() for pid in children_of("self")]
    return [stat.rpartition(")")[2].split()[0] for stat in stats]


def has_ended(pidfd: int) -> bool:
    return bool(select.select([pidfd], [], [], LONG)[0])


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (["true"], {}),
        (["cat"], {"input": b"in", "capture_output": True}),
        (["cat"], {"input": "in", "capture_output": True, "text": True}),
        (["cat"], {"input": "\xe9", "stdout": subprocess.PIPE, "encoding": "latin-1"}),
        (["cat"], {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE}),
        (["cat"], {"input": b"x" * 1_000_000, "capture_output": True}),
        (["true"], {"input": b"x" * 1_000_000}),
        ("echo $0; echo err >&2; exit 3", {"shell": True, "capture_output": True}),
        (sh("echo out; echo err >&2"), {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}),
        (["pwd"], {"cwd": "/usr", "capture_output": True}),
        (sh("echo $A"), {"env": {"A": "b", "PATH": os.environ["PATH"]}, "capture_output": True}),
        (sh("kill -9 $$"), {}),
        (["true"], {"check": True, "timeout": LONG}),
    ],
)
def test_run_returns_what_subprocess_returns(netns: NetNS, args: Any, kwargs: dict[str, Any]) -> None:
    ours, theirs = netns.run(args, **kwargs), subprocess.run(args, **kwargs)
    assert type(ours) is subprocess.CompletedProcess
    assert vars(ours) == vars(theirs)


@pytest.mark.parametrize(
    ("args", "kwargs", "error"),
    [
        (["no-such-command"], {}, FileNotFoundError),
        (["true"], {"cwd": "/no/such/folder"}, FileNotFoundError),
        (["/etc/passwd"], {}, PermissionError),
        (["cat"], {"input": b"in", "stdin": subprocess.PIPE}, ValueError),
        (["cat"], {"capture_output": True, "stdout": subprocess.PIPE}, ValueError),
        (["cat"], {"capture_output": True, "stderr": subprocess.DEVNULL}, ValueError),
        (["cat"], {"no_such_argument": 1}, TypeError),
        (sh("echo out; exit 7"), {"check": True, "capture_output": True}, subprocess.CalledProcessError),
        (sh("kill -9 $$"), {"check": True}, subprocess.CalledProcessError),
    ],
)
def test_run_raises_what_subprocess_raises(
    netns: NetNS, args: Any, kwargs: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error) as theirs:
        subprocess.run(args, **kwargs)
    with pytest.raises(error) as ours:
        netns.run(args, **kwargs)
    assert type(ours.value) is type(theirs.value)
    assert (str(ours.value), vars(ours.value)) == (str(theirs.value), vars(theirs.value))


@pytest.mark.parametrize("text", [False, True])
def test_run_ends_a_command_that_takes_too_long(netns: NetNS, text: bool) -> None:
    timeout, expired = 0.1, expire(netns, 0.1, text)
    while expired.output is None and timeout < LONG:  # a busy machine may take longer to start the command
        timeout *= 3
        expired = expire(netns, timeout, text)
    assert (expired.output, expired.stderr, expired.timeout) == (b"out", b"err", timeout)
    assert str(expired) == f"Command '{expired.cmd}' timed out after {timeout} seconds"
    assert "Z" not in child_states()


def expire(netns: NetNS, timeout: float, text: bool) -> subprocess.TimeoutExpired:
    script = "printf err >&2; printf out; exec sleep 1000"
    with pytest.raises(subprocess.TimeoutExpired) as info:
        netns.run(sh(script), timeout=timeout, capture_output=True, text=text)
    return info.value


def test_commands_run_in_the_namespace(netns: NetNS) -> None:
    home = os.readlink("/proc/thread-self/ns/net")
    assert netns.run(IN_WHICH, stdout=subprocess.PIPE, text=True).stdout == f"net:[{netns.inode}]\n"
    with netns.popen(IN_WHICH, stdout=subprocess.PIPE, text=True) as process:
        assert process.communicate()[0] == f"net:[{netns.inode}]\n"
    assert os.readlink("/proc/thread-self/ns/net") == home


def test_popen_is_that_of_subprocess(netns: NetNS) -> None:
    with netns.popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1) as process:
        assert type(process) is subprocess.Popen
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write("line\n")
        assert process.stdout.readline() == "line\n"
    assert process.returncode == 0


def test_a_socket_of_the_namespace_serves_a_command(netns: NetNS) -> None:
    server = netns.create_server(("127.0.0.1", 0))
    client = netns.create_connection(server.getsockname())
    accepted, _ = server.accept()
    with accepted, netns.popen(["cat"], stdin=accepted, stdout=accepted):
        client.sendall(b"echo")
        client.shutdown(socket.SHUT_WR)
        assert client.recv(100) == b"echo"


def test_close_ends_what_runs(make_netns: MakeNetNS) -> None:
    ns = make_netns()
    running = [ns.popen(["sleep", "1000"]) for _ in range(3)]
    ended = ns.popen(["true"])
    ended.wait()
    ns.close()
    assert [process.returncode for process in running] == [-signal.SIGTERM] * 3
    assert ended.returncode == 0
    assert "Z" not in child_states()


def started(ns: NetNS, script: str) -> subprocess.Popen[str]:
    """Start a script, and return when it has said that it is ready."""
    process: subprocess.Popen[str] = ns.popen(sh(script), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_close_lets_a_command_end_in_its_own_way(make_netns: MakeNetNS, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inhabitants, "TERM_TIMEOUT", LONG)
    ns = make_netns()
    process = started(ns, "trap 'exit 7' TERM; echo ready; while :; do sleep 0.01; done")
    ns.close()
    assert process.returncode == 7


def test_close_kills_a_command_that_ignores_sigterm(make_netns: MakeNetNS, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inhabitants, "TERM_TIMEOUT", 0.05)
    ns = make_netns()
    process = started(ns, "trap '' TERM; echo ready; exec sleep 1000")
    ns.close()
    assert process.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    "script",
    [
        "sleep 1000 >/dev/null & echo $!",
        "setsid sh -c 'echo $$; exec sleep 1000 >/dev/null' &",
        "setsid sh -c 'sh -c \"trap : TERM HUP INT; echo \\$\\$; exec sleep 1000 >/dev/null\" &' &",
    ],
    ids=["background", "setsid", "double-fork"],
)
def test_close_ends_a_daemon(make_netns: MakeNetNS, script: str) -> None:
    ns = make_netns()
    with ns.popen(sh(script), stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
    pidfd = os.pidfd_open(pid)
    try:
        assert process.returncode == 0
        assert Path(f"/proc/{pid}/comm").exists()  # it outlives the command that started it
        ns.close()
        assert has_ended(pidfd)
    finally:
        os.close(pidfd)


def test_close_spares_the_processes_of_others(make_netns: MakeNetNS) -> None:
    one, other = make_netns(), make_netns()
    spared = other.popen(["sleep", "1000"])
    with subprocess.Popen(["sleep", "1000"]) as at_home:
        one.popen(["sleep", "1000"])
        one.close()
        assert (spared.poll(), at_home.poll()) == (None, None)
        at_home.kill()


def test_close_closes_the_pipes(make_netns: MakeNetNS) -> None:
    ns = make_netns()
    pipe = subprocess.PIPE
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        process = ns.popen(["cat"], stdin=pipe, stdout=pipe, stderr=pipe)
        streams = [process.stdin, process.stdout, process.stderr]
        ns.close()
        assert [stream.closed for stream in streams if stream is not None] == [True] * 3
        del process, streams
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


def test_close_survives_what_a_dead_command_has_not_read(make_netns: MakeNetNS) -> None:
    ns = make_netns()
    process = ns.popen(["sleep", "1000"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdout:
        process.stdin.write(b"buffered")
        ns.close()


def test_a_command_that_is_dropped_makes_no_warning(make_netns: MakeNetNS) -> None:
    ns = make_netns()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ns.popen(["sleep", "1000"])
        gc.collect()
        ns.close()
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


def test_a_command_outlives_the_thread_that_started_it(netns: NetNS) -> None:
    made: list[subprocess.Popen[bytes]] = []
    thread = threading.Thread(target=lambda: made.append(netns.popen(["cat"], stdin=subprocess.PIPE)))
    thread.start()
    thread.join()
    (process,) = made
    assert process.poll() is None
    process.communicate(b"")
    assert process.returncode == 0


def test_a_command_that_dies_with_its_parent_lives_as_long_as_the_test(netns: NetNS) -> None:
    die_with_parent = functools.partial(syscalls.die_with_parent, os.getpid())
    with netns.popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, preexec_fn=die_with_parent) as process:
        netns.popen(["true"]).wait()
        process.communicate(b"")
    assert process.returncode == 0


def test_commands_of_several_threads_at_once_all_run_inside(make_netns: MakeNetNS) -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(20):
            ns, barrier = make_netns(), threading.Barrier(4)

            def where(_: int, ns: NetNS = ns, barrier: threading.Barrier = barrier) -> str:
                barrier.wait()
                return str(ns.run(IN_WHICH, stdout=subprocess.PIPE, text=True).stdout)

            with ThreadPoolExecutor(4) as executor:
                assert set(executor.map(where, range(4))) == {f"net:[{ns.inode}]\n"}
            ns.close()
    finally:
        sys.setswitchinterval(interval)


def test_commands_run_in_a_forked_child_too(netns: NetNS) -> None:
    netns.run(["true"], check=True)
    pid = os.fork()
    if pid == 0:
        signal.alarm(10)
        os._exit(netns.run(IN_WHICH, stdout=subprocess.DEVNULL).returncode)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@needs_privilege
@needs_another_user
def test_without_the_privilege_no_command_runs_elsewhere(netns: NetNS) -> None:
    os.seteuid(65534)
    try:
        for _ in range(2):
            with pytest.raises(NetNSPermissionError):
                netns.run(["true"])
    finally:
        os.seteuid(0)


def test_no_zombie_is_left(netns: NetNS) -> None:
    for _ in range(20):
        netns.run(["true"])
        netns.run(["false"])
    assert "Z" not in child_states()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("call in")]


def test_close_takes_no_longer_than_it_must(make_netns: MakeNetNS, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inhabitants, "TERM_TIMEOUT", LONG)
    ns = make_netns()
    ns.popen(["sleep", "1000"])
    before = time.monotonic()
    ns.close()
    assert time.monotonic() - before < LONG
