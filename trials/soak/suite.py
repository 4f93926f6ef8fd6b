"""The tests of the soak. Most leave open what their fixture is to close.

The marker ``soak(weight)`` says how many of a thousand tests are of a kind: those of the slow child modes are few.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import threading
import warnings
from collections.abc import Iterator

import pytest

from pytest_netns import CallModeName, ChildModeName, MakeNetNS, NetNS

MODES: list[ChildModeName] = ["resident", "fork", "mp", "mp:fork", "mp:forkserver", "mp:spawn"]


def bind(ns: NetNS, bound: threading.Event) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that binding in a thread may need a close there: it gets one
        ns.ipr.bind()
    list(ns.ipr.get_links())
    bound.set()


@pytest.fixture(scope="session")
def wide(netns_factory: MakeNetNS) -> Iterator[NetNS]:
    with netns_factory("wide") as ns:
        yield ns


@pytest.fixture(scope="session", autouse=True)
def warm(netns_factory: MakeNetNS) -> None:
    """Start the helpers of multiprocessing, which then stay."""
    with netns_factory() as ns:
        for mode in MODES:
            ns.socket(child_mode=mode)


@pytest.mark.soak(180)
def test_nothing(netns: NetNS) -> None:
    pass


@pytest.mark.soak(150)
def test_sockets(netns: NetNS) -> None:
    netns.socket()
    netns.sockets([(socket.AF_INET6, socket.SOCK_DGRAM)] * 10)
    netns.create_server(("127.0.0.1", 80))
    netns.create_connection(("127.0.0.1", 80)).sendall(b"x")


@pytest.mark.soak(60)
def test_namespaces(make_netns: MakeNetNS) -> None:
    make_netns(sysctl={"net.ipv4.ip_forward": 1})
    make_netns(lo=False).close()
    make_netns(name="soak")


@pytest.mark.soak(60)
def test_a_wider_namespace(wide: NetNS, netns_factory: MakeNetNS) -> None:
    wide.socket().close()
    wide.sysctl["net.ipv4.ip_forward"] = 1
    with netns_factory("not so wide") as ns:
        ns.socket()


@pytest.mark.soak(100)
def test_inside(netns: NetNS) -> None:
    with netns.enter():
        socket.socket().close()
    assert netns.call(os.getpid) == os.getpid()
    netns.thread(target=os.getpid).start()
    netns.executor(2).submit(os.getpid).result()


@pytest.mark.soak(100)
def test_netlink(netns: NetNS) -> None:
    netns.ipr.link("add", ifname="br0", kind="bridge")
    netns.iproute().bind()


@pytest.mark.soak(60)
def test_netlink_in_threads(netns: NetNS) -> None:
    for make in (threading.Thread, netns.thread):
        bound = threading.Event()
        make(target=bind, args=(netns, bound)).start()
        bound.wait()
    list(netns.ipr.get_links())


@pytest.mark.soak(50)
def test_netlink_in_a_loop(netns: NetNS) -> None:
    async def main() -> None:
        ipr = netns.async_iproute()
        await ipr.bind()
        await ipr.link("get", index=1)

    asyncio.run(main())


@pytest.mark.soak(50)
def test_pair(netns_pair: tuple[NetNS, NetNS]) -> None:
    left, right = netns_pair
    right.create_server(("192.0.2.2", 80))
    left.create_connection(("192.0.2.2", 80)).sendall(b"x")


@pytest.mark.soak(80)
def test_commands(netns: NetNS) -> None:
    netns.run(["true"], check=True)
    netns.popen(["sh", "-c", "sleep 1000 & exec sleep 1000"], stdout=subprocess.PIPE)


@pytest.mark.soak(90)
@pytest.mark.netns_child_mode("fork", "mp:fork")
def test_modes(netns: NetNS, netns_child_mode: CallModeName) -> None:
    netns.socket()
    netns.call(netns.fileno, child_mode=netns_child_mode)
    list(netns.ipr.get_links())


@pytest.mark.soak(20)
@pytest.mark.netns_child_mode("mp", "mp:forkserver")
def test_slower_modes(netns: NetNS, netns_child_mode: CallModeName) -> None:
    netns.socket()
    assert netns.call(os.getpid, child_mode=netns_child_mode) != os.getpid()


@pytest.mark.soak(4)
@pytest.mark.netns_child_mode("mp:spawn")
def test_the_slowest_mode(netns: NetNS) -> None:
    netns.socket()


@pytest.mark.soak(6)
def test_a_child_dies(netns: NetNS) -> None:
    with pytest.raises(ChildProcessError):
        netns.call(os._exit, 1, child_mode="fork")
