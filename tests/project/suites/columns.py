import os
import socket
import subprocess
import threading

import pytest


@pytest.mark.parametrize(
    ("family", "kind", "proto"),
    [
        (socket.AF_INET, socket.SOCK_STREAM, 0),
        (socket.AF_INET6, socket.SOCK_DGRAM, 0),
        (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
        (socket.AF_PACKET, socket.SOCK_RAW, 0),
        (socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE),
    ],
)
def test_0(netns, family, kind, proto):
    """sockets of every family, raw and packet sockets"""
    netns.socket(family, kind, proto)


def test_1(netns_pair):
    """`ipr` in every thread, links, addresses, pairs"""
    left, right = netns_pair
    failures = []

    def add():
        try:
            left.ipr.link("add", ifname="br0", kind="bridge")
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=add)
    thread.start()
    thread.join()
    assert not failures
    right.create_server(("192.0.2.2", 80))
    left.create_connection(("192.0.2.2", 80))


def test_2(netns):
    """`run`, `popen`"""
    netns.run(["ip", "addr", "add", "192.0.2.9/32", "dev", "lo"], check=True)


@pytest.mark.netns_child_mode("fork", "mp:fork", "mp:forkserver", "mp:spawn")
def test_3(netns, netns_child_mode):
    """the child modes `fork` and `mp`, and `call()` with them"""
    netns.socket()
    netns.call(os.getpid, child_mode=netns_child_mode)


def test_4(make_netns):
    """`sysctl`"""
    assert make_netns(sysctl={"net.ipv4.ip_forward": 1}).sysctl["net.ipv4.ip_forward"] == "1"


def test_5(netns):
    """`enter()`, `thread()`, `executor()`, `call()` in a thread"""
    with netns.enter():
        pass
    netns.call(os.getpid)
    thread = netns.thread(target=os.getpid)
    thread.start()
    thread.join()
    with netns.executor() as executor:
        executor.submit(os.getpid).result()


def test_6(netns, make_netns):
    """`name=`, for commands of `run` and `popen`"""
    name = make_netns(name="column").name
    netns.run(["ip", "netns", "exec", name, "true"], check=True)


def test_7(make_netns):
    """`name=`, for the test and what it starts by itself"""
    name = make_netns(name="column").name
    subprocess.run(["ip", "netns", "exec", name, "true"], check=True)


def test_8(netns):
    """`path`, for a program that the test starts by itself"""
    subprocess.run(["nsenter", f"--net={netns.path}", "true"], check=True)


@pytest.mark.netns_isolate
def test_9():
    """the marker `netns_isolate`"""
    socket.create_server(("127.0.0.1", 80)).close()


def test_10():
    """pytest itself keeps its network"""
    assert os.stat("/proc/self/ns/net").st_ino == int(os.environ["OUTSIDE"])
