"""Links and queueing disciplines that a kernel may lack; where this one does, ``make test-uml`` has another."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import time

import pytest

from pytest_netns import NetNS

pytestmark = [pytest.mark.core, pytest.mark.second_kernel]

MTU = 1500
TC_H_ROOT = 0xFFFF_FFFF  # <linux/pkt_sched.h>


def add_link(ns: NetNS, name: str, address: str, **options: object) -> int:
    """Add a link that is up and has an address; return its index."""
    ns.ipr.link("add", ifname=name, **options)
    index: int = ns.ipr.link_lookup(ifname=name)[0]
    ns.ipr.link("set", index=index, state="up")
    host, _, length = address.partition("/")
    ns.ipr.addr("add", index=index, address=host, prefixlen=int(length))
    return index


def index_of(ns: NetNS, name: str) -> int:
    index: int = ns.ipr.link_lookup(ifname=name)[0]
    return index


def sent(ns: NetNS, index: int) -> int:
    packets: int = ns.ipr.link("get", index=index)[0].get("stats64")["tx_packets"]
    return packets


@pytest.mark.netns_requires("dummy")
def test_dummy_swallows_what_is_routed_to_it(netns: NetNS) -> None:
    index = add_link(netns, "dummy0", "198.51.100.1/24", kind="dummy")
    before = sent(netns, index)
    with netns.socket(type=socket.SOCK_DGRAM) as sock:
        for _ in range(5):
            sock.sendto(b"x", ("198.51.100.2", 9))
        assert sock.getsockname()[0] == "0.0.0.0"
    assert sent(netns, index) - before >= 5  # IPv6 has something to say too
    with netns.create_server(("198.51.100.1", 80)), netns.create_connection(("198.51.100.1", 80)) as client:
        assert client.getpeername() == ("198.51.100.1", 80)


@pytest.mark.netns_requires("vlan", "veth")
def test_vlans_of_one_link_do_not_hear_each_other(netns_pair: tuple[NetNS, NetNS]) -> None:
    left, right = netns_pair
    for vlan in (5, 6):
        for ns, host in ((left, 1), (right, 2)):
            add_link(ns, f"vlan{vlan}", f"10.0.{vlan}.{host}/24", kind="vlan", link=index_of(ns, "eth0"), vlan_id=vlan)
    # The same address in both, on the left: what comes by the one must not answer for the other.
    with right.create_server(("10.0.5.2", 80)) as server:
        with left.create_connection(("10.0.5.2", 80), timeout=10) as client:
            accepted, address = server.accept()
            with accepted:
                assert address == client.getsockname()
                assert address[0] == "10.0.5.1"
    right.ipr.link("del", index=index_of(right, "vlan6"))
    with pytest.raises(OSError, match=r"timed out|No route to host"):
        left.create_connection(("10.0.6.2", 80), timeout=0.3)


@pytest.mark.netns_requires("vrf", "dummy")
def test_vrfs_have_the_same_address_twice(netns: NetNS) -> None:
    servers = []
    for number in (1, 2):
        vrf = f"vrf{number}"
        netns.ipr.link("add", ifname=vrf, kind="vrf", vrf_table=number + 10)
        netns.ipr.link("set", index=index_of(netns, vrf), state="up")
        link = f"dummy{number}"
        netns.ipr.link("add", ifname=link, kind="dummy", master=index_of(netns, vrf))
        netns.ipr.link("set", index=index_of(netns, link), state="up")
        netns.ipr.addr("add", index=index_of(netns, link), address="198.51.100.1", prefixlen=24)
        server = netns.socket()
        server.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, vrf.encode())
        server.bind(("198.51.100.1", 80))
        server.listen()
        server.settimeout(10)
        servers.append((vrf, server))
    for vrf, server in servers:
        client = netns.socket()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, vrf.encode())
        client.settimeout(10)
        client.connect(("198.51.100.1", 80))
        accepted, address = server.accept()
        accepted.close()
        assert address == client.getsockname()
    with pytest.raises(OSError, match=r"Network is unreachable|Connection refused|timed out"):
        netns.create_connection(("198.51.100.1", 80), timeout=0.3)  # in no VRF


@pytest.mark.netns_requires("ipvlan", "veth")
def test_ipvlan_shares_the_hardware_address(netns_pair: tuple[NetNS, NetNS]) -> None:
    left, right = netns_pair
    index = add_link(left, "ipvlan0", "10.0.0.1/24", kind="ipvlan", ipvlan_mode=0, link=index_of(left, "eth0"))
    right.ipr.addr("add", index=index_of(right, "eth0"), address="10.0.0.2", prefixlen=24)
    with right.create_server(("10.0.0.2", 80)), left.create_connection(("10.0.0.2", 80), timeout=10) as client:
        assert client.getsockname()[0] == "10.0.0.1"
    own, lower = (left.ipr.link("get", index=number)[0].get("address") for number in (index, index_of(left, "eth0")))
    assert own == lower


def echo_time(left: NetNS, right: NetNS) -> float:
    """Return how long a datagram takes there and back, in seconds."""
    with right.socket(type=socket.SOCK_DGRAM) as server, left.socket(type=socket.SOCK_DGRAM) as client:
        server.bind(("192.0.2.2", 7))
        for sock in (server, client):
            sock.settimeout(10)
        began = time.monotonic()
        client.sendto(b"x", ("192.0.2.2", 7))
        server.sendto(*server.recvfrom(1))
        client.recv(1)
        return time.monotonic() - began


@pytest.mark.netns_requires("netem", "veth")
def test_netem_delays(netns_pair: tuple[NetNS, NetNS]) -> None:
    left, right = netns_pair
    echo_time(left, right)  # resolves the hardware addresses
    delay = 0.2
    left.ipr.tc("add", "netem", index=index_of(left, "eth0"), delay=int(delay * 1e6))
    assert echo_time(left, right) >= delay


@pytest.mark.netns_requires("netem", "veth")
def test_netem_loses(netns_pair: tuple[NetNS, NetNS]) -> None:
    left, right = netns_pair
    echo_time(left, right)  # resolves the hardware addresses: a packet that waits for that is not lost
    root = {"index": index_of(left, "eth0"), "parent": TC_H_ROOT, "handle": 0x10000}
    left.ipr.tc("add", "netem", loss=100, **root)
    with right.socket(type=socket.SOCK_DGRAM) as server, left.socket(type=socket.SOCK_DGRAM) as client:
        server.bind(("192.0.2.2", 7))
        server.settimeout(0.3)
        client.sendto(b"x", ("192.0.2.2", 7))
        with pytest.raises(TimeoutError):
            server.recv(1)
        left.ipr.tc("del", **root)
        client.sendto(b"y", ("192.0.2.2", 7))
        server.settimeout(10)
        assert server.recv(1) == b"y"


@pytest.mark.needs_thread_inside
@pytest.mark.netns_requires("tun")
def test_tun_hands_over_the_packets(netns: NetNS) -> None:
    def open_tun() -> int:
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(fd, 0x400454CA, struct.pack("16sH22x", b"tun0", 1 | 0x1000))  # TUNSETIFF, IFF_TUN | IFF_NO_PI
        return fd

    tun = netns.call(open_tun)
    try:
        index = index_of(netns, "tun0")
        netns.ipr.link("set", index=index, state="up")
        netns.ipr.addr("add", index=index, address="198.51.100.1", prefixlen=24)
        with netns.socket(type=socket.SOCK_DGRAM) as sock:
            sock.sendto(b"hello", ("198.51.100.2", 9))
        while True:  # IPv6 says hello too
            packet = os.read(tun, MTU)
            if packet[0] >> 4 == 4:
                break
        assert packet[-5:] == b"hello"
    finally:
        os.close(tun)
