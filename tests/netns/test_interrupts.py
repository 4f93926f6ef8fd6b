"""A signal handler that raises at any moment, as those of Ctrl-C and pytest-timeout do: nothing is lost."""

from __future__ import annotations

import contextlib
import gc
import logging
import os
import random
import signal
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

import pytest

from pytest_netns import ChildModeName, NetNS, ProgramDiedError, inherited, listening, notified, output
from pytest_netns._child.resident.reaper import command_of
from pytest_netns._netns.factory import Session
from pytest_netns._netns.options import Options
from tests.support.helpers import descriptors, eventually, is_gone

# Python cannot pass on what a handler raises within a callback of the garbage collector, and says so.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
COUNT = int(os.environ.get("NETNS_INTERRUPTS", "300"))


class Interrupt(Exception):
    """What the handler raises."""


Interrupted = Callable[..., int]


@pytest.fixture
def interrupted() -> Iterator[Interrupted]:
    """Call a function often, each time with a signal at a random moment; return how many calls were interrupted."""

    armed: list[bool] = []  # where another thread takes the signal, it may come after the timer is switched off

    def handler(number: int, frame: FrameType | None) -> None:
        if armed:
            armed.clear()
            raise Interrupt

    def interrupted(function: Callable[..., object], prepare: Callable[[], tuple[Any, ...]] = tuple) -> int:
        seed = random.randrange(1 << 32)
        print(f"seed {seed}")
        moments = random.Random(seed)
        typical = min(_time(function, prepare()) for _ in range(10))
        count = calls = 0
        while count < COUNT and calls < 100 * COUNT:
            calls += 1
            arguments = prepare()
            try:
                armed.append(True)
                signal.setitimer(signal.ITIMER_REAL, moments.uniform(0, 1.1) * typical + 1e-6)
                try:
                    function(*arguments)
                finally:
                    armed.clear()
            except Interrupt:
                count += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
        return count

    before = signal.signal(signal.SIGALRM, handler)
    yield interrupted
    signal.signal(signal.SIGALRM, before)
    lock: Any = getattr(logging, "_lock")  # noqa: B009
    while lock._is_owned():  # logging loses its lock where a handler raises as it is taken, and other threads hang then
        lock.release()


def _time(function: Callable[..., object], arguments: tuple[Any, ...]) -> float:
    began = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - began


@pytest.fixture
def session() -> Iterator[Session]:
    made = Session()
    yield made
    made.close()


@contextlib.contextmanager
def nothing_lost(session: Session) -> Iterator[None]:
    """Compare what is open and who is a child before and after a block, in which nothing may be lost without a word."""
    session.namespace().close()
    channels = session.modes.descriptors()
    before = {fd: what for fd, what in descriptors().items() if int(fd) not in channels}
    children = children_of_this_process()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
        gc.collect()
    channels = session.modes.descriptors()
    assert {fd: what for fd, what in descriptors().items() if int(fd) not in channels} == before
    assert set(children_of_this_process()) <= set(children) | {session.modes.resident.pid}
    assert not [str(warning.message) for warning in caught if issubclass(warning.category, ResourceWarning)]


def children_of_this_process() -> dict[int, str]:
    """Return the pids of our children, and what they are."""
    found: dict[int, str] = {}
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(FileNotFoundError), open(f"/proc/self/task/{task}/children") as file:
            found.update((int(pid), command_of(int(pid))) for pid in file.read().split())
    return found


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["resident", "fork"])
def test_a_socket(session: Session, interrupted: Interrupted, mode: ChildModeName) -> None:
    ns = session.namespace()
    with nothing_lost(session):
        assert interrupted(lambda: ns.socket(child_mode=mode).close()) == COUNT
        ns._sockets.close()  # what was made, and not given to the caller
    ns.close()


def test_a_namespace(session: Session, interrupted: Interrupted) -> None:
    made: list[NetNS] = []
    first = session.namespace()
    with nothing_lost(session):
        assert interrupted(lambda: session.make(Options(), own=made.append).close()) == COUNT
        for ns in made:
            ns.close()
        assert list(session._open.values()) == [first]
    keys = range(first._handle.key + 1, session.namespace()._handle.key)
    eventually(lambda: not session.modes.resident.still_there(keys), "all namespaces are gone")


@pytest.mark.slow
def test_the_end_of_a_namespace(session: Session, interrupted: Interrupted) -> None:
    spaces: list[NetNS] = []

    def prepare() -> tuple[NetNS]:
        ns = session.namespace()
        ns.create_server(("127.0.0.1", 80))
        ns.ipr.get_links()
        spaces.append(ns)
        return (ns,)

    with nothing_lost(session):
        assert interrupted(NetNS.close, prepare) == COUNT
        session.finish_closing()
        for ns in spaces:
            ns.close()
        assert not session._open
    eventually(lambda: all(map(is_gone, spaces)), "all namespaces are gone")


@pytest.mark.slow
def test_a_visit(session: Session, interrupted: Interrupted) -> None:
    original = os.stat("/proc/thread-self/ns/net").st_ino
    visited: list[NetNS] = []

    def visit(ns: NetNS) -> None:
        with ns.enter():
            os.getpid()

    def prepare() -> tuple[NetNS]:
        for ns in visited[-1:]:
            ns.close()  # which has us leave, where that was interrupted
            assert os.stat("/proc/thread-self/ns/net").st_ino == original
        visited.append(session.namespace())
        return (visited[-1],)

    with nothing_lost(session):
        assert interrupted(visit, prepare) == COUNT
        visited[-1].close()
        assert os.stat("/proc/thread-self/ns/net").st_ino == original


READY = ["bash", "-c", "echo >&$READY_FD; echo ready; exec cat"]
DYING = ["true"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("args", "ready"),
    [(READY, [output("ready"), inherited(), lambda: True]), (DYING, [notified(), listening(80)])],
    ids=["ready", "dying"],
)
def test_a_program_that_is_waited_for(session: Session, interrupted: Interrupted, args: list[str], ready: Any) -> None:
    spaces: list[NetNS] = []

    def prepare() -> tuple[NetNS]:
        while spaces:
            spaces.pop().close()
        spaces.append(session.namespace())
        return (spaces[0],)

    def start(ns: NetNS) -> None:
        with contextlib.suppress(ProgramDiedError):
            ns.popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, ready=ready, ready_timeout=60)

    with nothing_lost(session):
        assert interrupted(start, prepare) == COUNT
        spaces.pop().close()
