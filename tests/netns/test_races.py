"""Threads that use a namespace while another one closes it, or closes others.

They show most on a free-threaded Python. Elsewhere threads are switched so often that they show there, too.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pytest_netns import NetNSClosedError, NetNSError
from pytest_netns._netns.factory import Session
from tests.support.helpers import descriptors, is_running

SWITCH = 1e-5  # seconds that a thread has the interpreter's lock
THREADS = 4
ROUNDS = 30


@pytest.fixture(autouse=True)
def _often_switched() -> Iterator[None]:
    saved = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH)
    yield
    sys.setswitchinterval(saved)


@pytest.fixture
def session() -> Iterator[Session]:
    made = Session()
    made.namespace("warm-up").close()
    yield made
    made.close()


class Users:
    """Threads that do a thing again and again, until it is refused.

    :param use: the thing to do; what it returns is kept.
    """

    def __init__(self, use: Callable[[], Any], number: int = THREADS) -> None:
        self._use = use
        self._begun = threading.Semaphore(0)
        self._threads = [threading.Thread(target=self._body) for _ in range(number)]
        self._errors: list[BaseException] = []
        self.made: list[Any] = []
        for thread in self._threads:
            thread.start()
        for _ in self._threads:
            self._begun.acquire()

    def _body(self) -> None:
        try:
            while True:
                self.made.append(self._use())
                self._begun.release()
        except NetNSError:
            pass  # the namespace is closed, or the resident child has forgotten it
        except BaseException as error:
            self._errors.append(error)
        finally:
            self._begun.release()

    def join(self) -> None:
        """Wait for their ends; none may have been refused by another error than one of ours."""
        for thread in self._threads:
            thread.join()
        assert self._errors == []


def here() -> int:
    return os.stat("/proc/thread-self/ns/net").st_ino


def test_a_socket_that_comes_as_its_namespace_is_closed_is_closed(session: Session) -> None:
    for _ in range(ROUNDS):
        ns = session.namespace()
        users = Users(lambda ns=ns: ns.socket(socket.AF_INET, socket.SOCK_DGRAM))  # type: ignore[misc]
        ns.close()
        users.join()
        assert [sock for sock in users.made if sock.fileno() >= 0] == []
        assert ns._sockets.descriptors() <= {-1}


def test_an_object_of_pyroute2_that_comes_as_its_namespace_is_closed_is_closed(session: Session) -> None:
    for _ in range(ROUNDS):
        ns = session.namespace()
        users = Users(ns.iproute)
        ns.close()
        users.join()
        assert ns._netlink is not None
        assert ns._netlink.descriptors() == set()
        assert [ipr for ipr in users.made if not ipr.status["closed"]] == []


def test_a_thread_that_is_started_as_its_namespace_is_closed_is_waited_for(session: Session) -> None:
    for _ in range(ROUNDS):
        ns = session.namespace()

        def start(ns: Any = ns) -> threading.Thread:
            thread: threading.Thread = ns.thread(target=here)
            thread.start()
            return thread

        users = Users(start)
        ns.close()
        assert [thread for thread in list(users.made) if thread.is_alive()] == []
        users.join()
        assert [thread for thread in users.made if thread.is_alive()] == []


@pytest.mark.parametrize("by", ["call", "enter", "thread"])
def test_nobody_gets_into_another_namespace_that_has_the_number_of_a_closed_one(session: Session, by: str) -> None:
    for _ in range(ROUNDS):
        ns = session.namespace()

        def use(ns: Any = ns) -> int:
            found: list[int] = []
            if by == "call":
                return int(ns.call(here))
            if by == "enter":
                with ns.enter():
                    return here()
            thread = ns.thread(target=lambda: found.append(here()))
            thread.start()
            thread.join()
            return found[0]

        users = Users(use)
        ns.close()
        with contextlib.ExitStack() as undo:
            for _ in range(5):
                undo.enter_context(session.namespace())
        users.join()
        assert set(users.made) == {ns.inode}


def test_an_object_is_closed_by_its_thread_and_by_another_at_once(session: Session) -> None:
    before = descriptors()
    for _ in range(ROUNDS):
        ns = session.namespace()
        ipr = ns.iproute()
        go = threading.Barrier(THREADS + 1)

        def body(ipr: Any = ipr, go: threading.Barrier = go) -> None:
            ipr.link_lookup(ifname="lo")
            go.wait()  # and then the thread ends, and with it what it holds

        threads = [threading.Thread(target=body) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        go.wait()
        ns.close()
        for thread in threads:
            thread.join()
    assert len(descriptors()) <= len(before) + THREADS  # each thread that asked at the same time has a channel


def test_an_object_that_is_first_used_as_its_namespace_is_closed_leaves_nothing(session: Session) -> None:
    before = descriptors()
    for _ in range(ROUNDS):
        ns = session.namespace()
        ipr = ns.iproute()
        go = threading.Barrier(THREADS + 1)

        def body(ipr: Any = ipr, go: threading.Barrier = go) -> None:
            go.wait()
            with contextlib.suppress(OSError, RuntimeError):  # it is closed, or its loop
                ipr.link_lookup(ifname="lo")

        threads = [threading.Thread(target=body) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        go.wait()
        ns.close()
        for thread in threads:
            thread.join()
    assert len(descriptors()) <= len(before) + THREADS


def test_namespaces_are_closed_while_it_is_looked_which_are_gone(session: Session) -> None:
    stop = threading.Event()

    def use() -> None:
        if stop.is_set():
            raise NetNSClosedError
        session.namespace().close()

    users = Users(use)
    for _ in range(10 * ROUNDS):
        session.remains._drop_those_gone()
    stop.set()
    users.join()
    found, unexplained = session.remains.kept_at_the_end()
    assert (found, unexplained) == ([], [])
    assert len(session._open) == 0


def test_keys_are_unique(session: Session) -> None:
    with contextlib.ExitStack() as undo:
        lock = threading.Lock()
        keys: list[int] = []

        def use() -> None:
            if len(keys) > 10 * ROUNDS:
                raise NetNSClosedError
            ns = session.namespace()
            with lock:
                undo.enter_context(ns)
                keys.append(ns._handle.key)

        Users(use).join()
    assert len(set(keys)) == len(keys)


def test_no_child_is_started_after_the_session_has_ended() -> None:
    before = descriptors()
    for _ in range(5):
        session = Session()
        pids: set[int | None] = set()

        def use(session: Session = session, pids: set[int | None] = pids) -> None:
            pids.add(session.modes.resident.pid)
            session.namespace().close()

        users = Users(use)
        session.close()
        users.join()
        assert session.modes.resident.pid is None
        assert not any(is_running(pid) for pid in pids if pid is not None)
    assert descriptors() == before
