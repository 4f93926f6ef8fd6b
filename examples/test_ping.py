"""Ping and traceroute: the tests build ICMP packets by hand and send them by raw sockets of a namespace.

The first tests ping the other end of a pair:

    left                                  right
    192.0.2.1     eth0 ---------- eth0    192.0.2.2
    2001:db8::1                           2001:db8::2

The last one adds a third namespace, so that the second becomes a router, and finds the router by its answer to a packet
whose time to live is over:

    client                     router                               server
    192.0.2.1  eth0 ---- eth0  192.0.2.2
                               198.51.100.254  eth1 ---- eth0       198.51.100.1
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from socket import AF_INET, AF_INET6, IP_TTL, IPPROTO_ICMP, IPPROTO_ICMPV6, IPPROTO_IP, SOCK_RAW

from example_tools import show

from pytest_netns import NetNS

ECHO_REPLY, ECHO_REQUEST, TIME_EXCEEDED = 0, 8, 11  # RFC 792
ECHO_REQUEST_V6, ECHO_REPLY_V6 = 128, 129  # RFC 4443
IDENTIFIER = 4711


def checksum(data: bytes) -> int:
    """Return the Internet checksum (RFC 1071); that of a message which contains its own is 0."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def echo(kind: int, sequence: int) -> bytes:
    """Return an ICMP echo message, a request or a reply."""
    payload = b"pytest-netns"
    unsigned = struct.pack("!BBHHH", kind, 0, 0, IDENTIFIER, sequence) + payload
    return struct.pack("!BBHHH", kind, 0, checksum(unsigned), IDENTIFIER, sequence) + payload


def without_ip_header(packet: bytes) -> bytes:
    return packet[(packet[0] & 0x0F) * 4 :]


def test_ping(netns_pair: tuple[NetNS, NetNS]) -> None:
    left, _ = netns_pair
    sock = left.socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)
    sock.settimeout(10)

    sent_at = time.perf_counter()
    sock.sendto(echo(ECHO_REQUEST, sequence=1), ("192.0.2.2", 0))
    packet, (source, _) = sock.recvfrom(1500)
    took = time.perf_counter() - sent_at

    assert source == "192.0.2.2"
    assert without_ip_header(packet) == echo(ECHO_REPLY, sequence=1)
    assert checksum(without_ip_header(packet)) == 0
    show(f"{len(packet)} bytes from {source}: ttl={packet[8]} time={took * 1000:.3f} ms")


def test_ping_over_ipv6(netns_pair: tuple[NetNS, NetNS]) -> None:
    left, _ = netns_pair
    sock = left.socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6)
    sock.settimeout(10)

    sent_at = time.perf_counter()
    # The checksum covers the addresses too; whatever is given, the kernel puts the right one (RFC 3542, 3.1).
    sock.sendto(echo(ECHO_REQUEST_V6, sequence=1), ("2001:db8::2", 0))
    # There is no IP header here, but neighbour discovery comes by the same socket.
    while (packet := sock.recv(1500))[0] != ECHO_REPLY_V6:
        pass
    took = time.perf_counter() - sent_at

    assert packet[4:] == echo(ECHO_REPLY_V6, sequence=1)[4:]
    show(f"{len(packet)} bytes from 2001:db8::2: time={took * 1000:.3f} ms")


def test_traceroute(netns_pair: tuple[NetNS, NetNS], make_netns: Callable[..., NetNS]) -> None:
    client, router = netns_pair
    server = make_netns("server")
    router.sysctl["net.ipv4.ip_forward"] = "1"
    add_link(router, "eth1", "198.51.100.254", server, "eth0", "198.51.100.1")
    client.ipr.route("add", dst="default", gateway="192.0.2.2")
    server.ipr.route("add", dst="default", gateway="198.51.100.254")
    sock = client.socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)
    sock.settimeout(10)

    hops = []
    for ttl in (1, 2):
        sock.setsockopt(IPPROTO_IP, IP_TTL, ttl)
        sock.sendto(echo(ECHO_REQUEST, sequence=ttl), ("198.51.100.1", 0))
        packet, (source, _) = sock.recvfrom(1500)
        hops.append((source, without_ip_header(packet)[0]))

    assert hops == [("192.0.2.2", TIME_EXCEEDED), ("198.51.100.1", ECHO_REPLY)]
    show(*(f"{ttl}  {source}" for ttl, (source, _) in enumerate(hops, 1)))


def add_link(
    one: NetNS, one_ifname: str, one_address: str, other: NetNS, other_ifname: str, other_address: str
) -> None:
    """Join two namespaces by a veth link, with an address at each end."""
    one.ipr.link("add", ifname=one_ifname, kind="veth", peer={"ifname": other_ifname, "net_ns_fd": other.fileno()})
    ends = ((one, one_ifname, one_address), (other, other_ifname, other_address))
    for ns, ifname, address in ends:
        (index,) = ns.ipr.link_lookup(ifname=ifname)
        ns.ipr.addr("add", index=index, address=address, prefixlen=24)
        ns.ipr.link("set", index=index, state="up")
    for ns, ifname, _ in ends:  # what is sent before the link has carrier is lost
        ns.ipr.poll(ns.ipr.link, "dump", ifname=ifname, operstate="UP", interval=0.002)
