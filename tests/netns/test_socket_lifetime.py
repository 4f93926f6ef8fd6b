"""How long the sockets of a namespace live, and who may make them at once."""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import resource
import socket
import sys
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pytest_netns import ChildModeName, MakeNetNS, NetNS, NetNSClosedError, NetNSError
from pytest_netns._netns.factory import Session

pytestmark = pytest.mark.core


@pytest.fixture
def session() -> Iterator[Session]:
    """A session of the test's own: for each thread of a test, its child keeps a channel as long as it lives."""
    with contextlib.closing(Session()) as session:
        yield session


@pytest.fixture
def many_descriptors() -> Iterator[None]:
    """Room for two thousand sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 4096:
        pytest.skip(f"the hard limit of open files is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_descriptors")
@pytest.mark.parametrize("mode", ["resident", "fork", "mp:spawn"])
def test_a_thousand_sockets_at_once(make_netns: MakeNetNS, mode: ChildModeName) -> None:
    ns = make_netns()
    made = ns.sockets([(socket.AF_INET, socket.SOCK_DGRAM)] * 1000, child_mode=mode)
    assert len({sock.fileno() for sock in made}) == 1000
    assert len({os.fstat(sock.fileno()).st_ino for sock in made}) == 1000
    ns.close()
    assert {sock.fileno() for sock in made} == {-1}


@pytest.mark.usefixtures("many_descriptors")
def test_a_thousand_sockets_one_by_one(make_netns: MakeNetNS) -> None:
    ns = make_netns()
    made = [ns.socket() for _ in range(1000)]
    for sock in made[::2]:
        sock.close()
    ns.close()
    assert {sock.fileno() for sock in made} == {-1}


def test_close_closes_what_the_test_left_open(make_netns: MakeNetNS) -> None:
    ns = make_netns()
    server = ns.create_server(("127.0.0.1", 0))
    client = ns.create_connection(server.getsockname())
    closed, detached = ns.socket(), ns.socket()
    closed.close()
    fd = detached.detach()
    ns.close()
    assert [server.fileno(), client.fileno()] == [-1, -1]
    os.close(fd)  # it had become the test's


def test_a_socket_that_is_dropped_lives_as_long_as_the_namespace(make_netns: MakeNetNS) -> None:
    ns = make_netns()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        address = ns.create_server(("127.0.0.1", 0)).getsockname()
        gc.collect()
        ns.create_connection(address).close()
        ns.close()
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


def test_sockets_that_are_closed_are_let_go(netns: NetNS) -> None:
    refs = []
    for _ in range(500):
        with netns.socket() as sock:
            refs.append(weakref.ref(sock))
    assert sum(ref() is not None for ref in refs) < 100


def test_sockets_of_eight_threads_at_once(session: Session) -> None:
    netns = session.namespace()
    barrier = threading.Barrier(8)

    def exchange(number: int) -> list[bytes]:
        barrier.wait()
        received = []
        for index in range(20):
            with netns.create_server(("127.0.0.1", 0)) as server:
                with netns.create_connection(server.getsockname()) as client, server.accept()[0] as accepted:
                    client.sendall(b"%d of %d" % (index, number))
                    received.append(accepted.recv(100))
        return received

    with ThreadPoolExecutor(8) as executor:
        got = list(executor.map(exchange, range(8)))
    assert got == [[b"%d of %d" % (index, number) for index in range(20)] for number in range(8)]


@pytest.mark.usefixtures("many_descriptors")
def test_close_closes_the_sockets_of_every_thread(session: Session) -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(15):
            ns, made = session.namespace(), list[socket.socket]()
            barrier = threading.Barrier(8)

            def make(_: int, ns: NetNS = ns, made: list[socket.socket] = made, barrier: Any = barrier) -> None:
                barrier.wait()
                for _ in range(200):
                    made.append(ns.socket())

            with ThreadPoolExecutor(8) as executor:
                list(executor.map(make, range(8)))
            ns.close()
            left = [sock for sock in made if sock.fileno() >= 0]
            for sock in left:
                sock.close()
            assert len(made) == 1600
            assert left == []
    finally:
        sys.setswitchinterval(interval)


USES: dict[str, Callable[[NetNS], object]] = {
    "socket": lambda ns: ns.socket(),
    "sockets": lambda ns: ns.sockets([]),
    "create_server": lambda ns: ns.create_server(("127.0.0.1", 0)),
    "create_connection": lambda ns: ns.create_connection(("127.0.0.1", 9)),
    "create_connection by name": lambda ns: ns.create_connection(("localhost", 9)),
    "enter": lambda ns: ns.enter(),
    "call": lambda ns: ns.call(print),
    "call in a child": lambda ns: ns.call(print, child_mode="fork"),
    "run": lambda ns: ns.run(["true"]),
    "popen": lambda ns: ns.popen(["true"]),
    "ipr": lambda ns: ns.ipr,
    "iproute": lambda ns: ns.iproute(),
    "async_iproute": lambda ns: ns.async_iproute(),
    "sysctl": lambda ns: ns.sysctl,
    "path": lambda ns: ns.path,
    "with": lambda ns: ns.__enter__(),
}


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_a_use_after_close_says_so(make_netns: MakeNetNS, use: Callable[[NetNS], object]) -> None:
    ns = make_netns("lab")
    ns.close()
    with pytest.raises(NetNSClosedError) as info:
        use(ns)
    text = "namespace 'lab' is closed; a namespace ends with the fixture that made it"
    assert info.value.args == (errno.EBADF, text)
    assert str(info.value) == f"[Errno 9] {text}"


def test_a_way_in_that_was_kept_over_close_leads_nowhere_else(make_netns: MakeNetNS) -> None:
    ns = make_netns("lab")
    way_in, number = ns.enter(), ns.fileno()
    ns.close()
    while (other := make_netns("other")).fileno() != number:  # lower numbers may be free
        assert other.fileno() < number
    with pytest.raises(NetNSError), way_in:
        assert Path("/proc/thread-self/ns/net").stat().st_ino != other.inode
