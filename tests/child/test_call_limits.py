"""What a call cannot do, how long it may take, and what it leaves."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_netns import CallModeName, ChildModeError, MakeNetNS, NetNS, NetNSError, NetNSTimeoutError, UnpicklableError
from pytest_netns._child import CALL_MODES
from tests.support.helpers import children_of

LONG = 60.0  # seconds: how long a test may hang before it fails; none waits for it
THREAD = None
ODD_INIT = "OddInit.__init__() missing 1 required positional argument: 'number'"

everywhere = pytest.mark.parametrize("mode", [THREAD, *CALL_MODES], ids=str)
in_children = pytest.mark.parametrize("mode", CALL_MODES)
in_heirs = pytest.mark.parametrize("mode", [THREAD, "fork", "mp:fork"], ids=str)
in_strangers = pytest.mark.parametrize("mode", ["mp:spawn", "mp:forkserver"])


def where() -> tuple[int, int]:
    return os.getpid(), os.stat("/proc/thread-self/ns/net").st_ino


def zeros(size: int) -> bytes:
    return bytes(size)


def say_and_hang(sock: socket.socket) -> None:
    sock.sendall(b"x")
    signal.pause()


def outlast(seconds: float) -> str:
    """Wait, without an answer that could come sooner."""
    left, right = socket.socketpair()
    with left, right:
        left.settimeout(seconds)
        try:
            left.recv(1)
        except TimeoutError:
            return "done"
    return "not waited"


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    with left, right:
        left.settimeout(LONG)
        yield left, right


def descendants(pid: int | str = "self") -> dict[str, int]:
    """Return our processes, each with the page faults of the children that it has reaped.

    To start a process changes it: as long as that runs there is one more, and once it is reaped its faults are here.
    """
    children = children_of(pid)
    faults = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[8]  # cminflt, proc_pid_stat(5)
    found = {str(pid): int(faults)}
    for child in children:
        found.update(descendants(child))
    return found


@in_strangers
def test_a_function_that_the_child_cannot_import_is_named(
    netns: NetNS, mode: CallModeName, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("only_here")
    monkeypatch.setitem(sys.modules, "only_here", module)
    exec("def func(): pass", vars(module))
    with pytest.raises(NetNSError) as info:
        netns.call(module.func, child_mode=mode)
    assert str(info.value) == (
        "namespace 'netns': cannot unpickle the function in the child: ModuleNotFoundError: No module named 'only_here'"
    )


@in_strangers
def test_a_lambda_is_refused_elsewhere_before_any_process_starts(netns: NetNS, mode: CallModeName) -> None:
    before = descendants()
    func = lambda: None  # noqa: E731
    with pytest.raises(UnpicklableError) as info:
        netns.call(func, child_mode=mode)
    assert descendants() == before
    assert str(info.value).startswith(
        f"the function, {func!r}, cannot be pickled for the start method {mode.partition(':')[2]!r} ("
    )


@in_children
def test_no_process_is_left(netns: NetNS, mode: CallModeName) -> None:
    netns.call(where, child_mode=mode)  # the helpers of multiprocessing start with the first
    before = descendants()
    netns.call(where, child_mode=mode)
    after = descendants()
    assert set(after) == set(before)
    assert after != before  # or descendants() does not see what it should


def run_script(mode: str, *lines: str) -> str:
    """Run the lines in a program of its own, with a namespace ``ns``; return what it prints, by way of a buffer."""
    script = [
        "import contextlib, os, pathlib",
        "from pytest_netns._netns.factory import Session",
        "with contextlib.closing(Session()) as session:",
        f"    ns, mode = session.namespace(), {mode!r}",
        *(f"    {line}" for line in lines),
    ]
    command = ["env", "--unset=PYTHONUNBUFFERED", sys.executable, "-c", "\n".join(script)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


@in_children
def test_what_a_child_prints_is_shown_once(mode: str) -> None:
    printed = run_script(mode, "print('before')", "ns.call(print, 'inside', child_mode=mode)", "print('after')")
    assert printed == "before\ninside\nafter\n"


@in_strangers
def test_the_helpers_of_multiprocessing_stay_at_home(mode: str) -> None:
    printed = run_script(
        mode,
        "with ns.enter():",
        "    assert ns.call(os.getpid, child_mode=mode) != os.getpid()",
        "tasks = pathlib.Path('/proc/self/task').iterdir()",
        "children = [pid for task in tasks for pid in (task / 'children').read_text().split()]",
        "print(len(children) > 1, {os.stat(f'/proc/{pid}/ns/net').st_ino for pid in children})",
    )
    assert printed == f"True { {os.stat('/proc/thread-self/ns/net').st_ino} }\n"


@pytest.mark.parametrize("mode", ["fork", "mp:fork"])
def test_a_signal_handler_of_the_test_is_not_one_of_the_child(netns: NetNS, mode: CallModeName) -> None:
    saved = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        assert netns.call(signal.getsignal, signal.SIGUSR1, child_mode=mode) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGUSR1, saved)


@pytest.mark.parametrize("mode", ["resident", "frok", "mp:thread", ""])
def test_a_mode_that_cannot_call_is_refused(netns: NetNS, mode: CallModeName) -> None:
    with pytest.raises(ChildModeError) as info:
        netns.call(where, child_mode=mode)
    assert str(info.value) == (
        f"{mode!r} is not a child mode that can call a function; valid are: fork, mp, mp:fork, mp:forkserver, mp:spawn"
    )


@pytest.mark.slow
@in_children
def test_a_timeout_ends_a_child_that_hangs(
    netns: NetNS, mode: CallModeName, pair: tuple[socket.socket, socket.socket]
) -> None:
    left, right = pair
    netns.call(where, child_mode=mode)  # the helpers of multiprocessing start with the first
    before = set(descendants())
    with pytest.raises(NetNSTimeoutError) as info:
        netns.call(say_and_hang, right, child_mode=mode, timeout=0.05)
    assert str(info.value) == (
        f"[Errno 110] namespace 'netns': the {mode} child did not answer within 0.05 s and was killed; "
        "give it a longer timeout, or none"
    )
    assert set(descendants()) == before
    right.close()
    assert left.recv(100) in (b"x", b"")  # a busy machine may have ended it before it began
    assert left.recv(100) == b""  # and nobody holds its end any more
    assert netns.call(where, child_mode=mode)[1] == netns.inode


def test_a_timeout_names_the_function_and_the_thread_that_goes_on(netns: NetNS) -> None:
    event = threading.Event()
    with pytest.raises(NetNSTimeoutError) as info:
        netns.call(event.wait, timeout=0.05)
    event.set()
    (thread,) = [each for each in threading.enumerate() if each.name == "call in namespace 'netns'"]
    thread.join()
    assert str(info.value) == (
        "[Errno 110] namespace 'netns': Event.wait did not return within 0.05 s and goes on in thread "
        f"{thread.name!r}; a child, unlike a thread, can be killed: give a child_mode"
    )


def test_without_a_timeout_there_is_no_limit(make_netns: MakeNetNS) -> None:
    ns = make_netns(child_timeout=3)  # for each step of ours, and not for the function
    before = time.monotonic()
    assert ns.call(outlast, 3.2, child_mode="fork", timeout=None) == "done"
    assert time.monotonic() - before > 3


@pytest.mark.parametrize(("mode", "timeout"), [*((mode, 0.0) for mode in CALL_MODES), ("mp:spawn", 5.0)])
def test_a_default_timeout_of_sockets_changes_nothing(netns: NetNS, mode: CallModeName, timeout: float) -> None:
    socket.setdefaulttimeout(timeout)
    try:
        value = netns.call(zeros, 5_000_000, child_mode=mode)
    finally:
        socket.setdefaulttimeout(None)
    assert len(value) == 5_000_000
