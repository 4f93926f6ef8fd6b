"""Wireshark's decoding of the frames of real programs, which ours agrees with."""

from __future__ import annotations

import shutil
import socket
import ssl
import struct
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_netns import NetNSPair, Topology
from pytest_netns._frames.decoding import Packet, decode, quoted
from pytest_netns._frames.dns import DNS
from pytest_netns._frames.ethernet import ARP, VLAN, Ethernet
from pytest_netns._frames.frame import Frame
from pytest_netns._frames.icmp import ICMP, ICMPv6
from pytest_netns._frames.ip import IPv4, IPv6
from pytest_netns._frames.layer import Layer
from pytest_netns._frames.tls import TLS
from pytest_netns._frames.transport import TCP, UDP
from pytest_netns._frames.tunnels import VXLAN
from tests.support.recording import add_tunnel, recording, write_pcap

from .build import ethernet, ip, tcp, udp, vlan

pytestmark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")

IP_MTU_DISCOVER, IP_PMTUDISC_DONT, IP_PMTUDISC_DO = 10, 0, 2  # linux/in.h

Fields = dict[str, list[str]]


def of_ipv4(ip: IPv4) -> Iterator[tuple[str, object]]:
    yield from [("ip.src", ip.source), ("ip.dst", ip.destination), ("ip.ttl", ip.ttl), ("ip.proto", ip.protocol)]
    yield from [("ip.id", f"{ip.identification:#06x}"), ("ip.len", ip.total_length)]
    yield from [("ip.flags.df", int(ip.dont_fragment)), ("ip.flags.mf", int(ip.more_fragments))]


def of_tcp(tcp: TCP) -> Iterator[tuple[str, object]]:
    yield from [("tcp.srcport", tcp.source_port), ("tcp.dstport", tcp.destination_port)]
    yield from [("tcp.seq_raw", tcp.sequence), ("tcp.ack_raw", tcp.acknowledged), ("tcp.len", tcp.payload_length)]
    yield from [("tcp.flags", f"{tcp.flags:#06x}"), ("tcp.window_size_value", tcp.window)]
    options = tcp.options
    yield "tcp.options.mss_val", options.mss
    yield "tcp.options.wscale.shift", options.window_scale
    yield from zip(
        ("tcp.options.timestamp.tsval", "tcp.options.timestamp.tsecr"), options.timestamps or (), strict=False
    )


def of_udp(udp: UDP) -> Iterator[tuple[str, object]]:
    yield from [("udp.srcport", udp.source_port), ("udp.dstport", udp.destination_port)]
    yield "udp.length", udp.number(4, 2)  # of a fragment, that of the whole datagram


def of_icmp(icmp: ICMP) -> Iterator[tuple[str, object]]:
    name = icmp.name.lower()
    yield from [(f"{name}.type", icmp.type), (f"{name}.code", icmp.code)]
    if isinstance(icmp, ICMPv6):
        yield "icmpv6.echo.sequence_number", icmp.sequence
    else:
        yield from [("icmp.seq", icmp.sequence), ("icmp.mtu", icmp.mtu)]


def of_dns(dns: DNS) -> Iterator[tuple[str, object]]:
    yield "dns.id", f"{dns.identifier:#06x}"
    yield from (("dns.qry.name", question.name) for question in dns.questions)
    yield "dns.flags.response", int(dns.is_response)
    yield from ((f"dns.{answer.type.lower()}", answer.value) for answer in dns.answers)
    yield "dns.count.answers", len(dns.answers)


READ: dict[type[Layer], Callable[..., Iterator[tuple[str, object]]]] = {
    Ethernet: lambda one: iter([("eth.src", one.source), ("eth.dst", one.destination)]),
    VLAN: lambda one: iter([("vlan.id", one.vid), ("vlan.priority", one.priority)]),
    ARP: lambda one: iter(
        [("arp.opcode", one.operation), ("arp.src.proto_ipv4", one.sender), ("arp.dst.proto_ipv4", one.target)]
    ),
    IPv4: of_ipv4,
    IPv6: lambda one: iter([("ipv6.src", one.source), ("ipv6.dst", one.destination), ("ipv6.hlim", one.ttl)]),
    ICMP: of_icmp,
    ICMPv6: of_icmp,
    TCP: of_tcp,
    UDP: of_udp,
    VXLAN: lambda one: iter([("vxlan.vni", one.vni)]),
    DNS: of_dns,
    TLS: lambda one: iter([("tls.handshake.extensions_server_name", one.server_name)]),
}
FIELDS = [
    *("eth.src", "eth.dst", "vlan.id", "vlan.priority", "arp.opcode", "arp.src.proto_ipv4", "arp.dst.proto_ipv4"),
    *("ip.src", "ip.dst", "ip.ttl", "ip.proto", "ip.id", "ip.len", "ip.flags.df", "ip.flags.mf"),
    *("ipv6.src", "ipv6.dst", "ipv6.hlim", "icmp.type", "icmp.code", "icmp.seq", "icmp.mtu"),
    *("icmpv6.type", "icmpv6.code", "icmpv6.echo.sequence_number"),
    *("tcp.srcport", "tcp.dstport", "tcp.seq_raw", "tcp.ack_raw", "tcp.len", "tcp.flags", "tcp.window_size_value"),
    *("tcp.options.mss_val", "tcp.options.wscale.shift", "tcp.options.timestamp.tsval", "tcp.options.timestamp.tsecr"),
    *("udp.srcport", "udp.dstport", "udp.length", "vxlan.vni"),
    *("dns.id", "dns.qry.name", "dns.flags.response", "dns.count.answers", "dns.a", "dns.aaaa", "dns.cname"),
    "tls.handshake.extensions_server_name",
]


def ours(frame: Frame) -> Fields:
    """Return the fields of a frame by our decoding, those of a packet that an error quotes included."""
    found: Fields = defaultdict(list)
    packets: list[Packet] = [decode(frame)]
    while packets:
        for layer in packets.pop():
            for field, value in READ[type(layer)](layer) if type(layer) in READ else ():
                if value is not None:
                    found[field].append(str(value))
            about = quoted(layer) if isinstance(layer, ICMP) else None
            packets += [about] if about else []
    return dict(found)


def wiresharks(frames: list[Frame], folder: Path) -> list[Fields]:
    """Return the fields of frames by Wireshark's decoding."""
    write_pcap(folder / "frames.pcap", frames)
    options = ["-o", "tcp.desegment_tcp_streams:FALSE", "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE"]
    options += ["-T", "fields", "-E", "occurrence=a", "-E", "aggregator=|"]
    options += [word for field in FIELDS for word in ("-e", field)]
    output = subprocess.run(
        ["tshark", "-n", "-r", folder / "frames.pcap", *options], check=True, capture_output=True, text=True
    ).stdout
    return [
        {name: value.split("|") for name, value in zip(FIELDS, line.split("\t"), strict=True) if value}
        for line in output.splitlines()
    ]


def agree(frames: list[Frame], folder: Path, expected: set[str]) -> None:
    """Compare both decodings of all frames, in which all of the expected fields are to be found."""
    seen: set[str] = set()
    # A namespace by itself: in one file, what a second one has seen is taken for sent again, and not decoded.
    for namespace in {frame.namespace for frame in frames}:
        here = [frame for frame in frames if frame.namespace == namespace]
        for frame, theirs in zip(here, wiresharks(here, folder), strict=True):
            assert {name: value for name, value in ours(frame).items() if name in FIELDS} == theirs, decode(frame)
            seen |= theirs.keys()
    assert expected <= seen


@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_tcp_udp_and_errors(netns_pair: NetNSPair, tmp_path: Path, family: int) -> None:
    left, right = netns_pair
    address = right.ip if family == socket.AF_INET else right.ip6
    with recording({"left": left, "right": right}) as recorder:
        with right.create_server((address, 80), family=family) as listener:
            with left.create_connection((address, 80)) as client, listener.accept()[0] as server:
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                server.recv(100)
                server.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 50_000)
                client.recv(1 << 20)
        with pytest.raises(ConnectionRefusedError):
            left.create_connection((address, 80))
        with left.socket(family, socket.SOCK_DGRAM) as datagrams:
            datagrams.sendto(b"x" * 5000, (address, 9))
        left.reach(address)
    kind = "icmp" if family == socket.AF_INET else "icmpv6"
    expected = {"tcp.options.mss_val", "tcp.options.timestamp.tsecr", "udp.length", f"{kind}.code"}
    agree(recorder.frames, tmp_path, expected | ({"arp.opcode"} if family == socket.AF_INET else set()))


@pytest.mark.netns_topology("client -- router -- [mtu=1300] -- server")
def test_errors_of_routers(netns_topology: Topology, tmp_path: Path) -> None:
    client, server = netns_topology["client"], netns_topology["server"]
    with recording({name: netns_topology[name] for name in netns_topology}) as recorder:
        with client.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DO)
            sock.sendto(b"x" * 1400, (server.ip, 9))
            sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
            sock.sendto(b"x" * 1400, (server.ip, 9))
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, 1)
            sock.sendto(b"x", (server.ip, 9))
    agree(recorder.frames, tmp_path, {"icmp.mtu", "ip.flags.mf"})


def test_dns(netns_topology_factory: Callable[..., Topology], tmp_path: Path) -> None:
    pytest.importorskip("dns")
    with netns_topology_factory("client -- server") as net:
        server = net.dns("server")
        server.answer("www.example.test", "A", "192.0.2.9")
        server.answer("www.example.test", "AAAA", "2001:db8::9")
        with recording({name: net[name] for name in net}) as recorder:
            for name in ("www.example.test", "none.example.test"):
                with net["client"].socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                    for kind in (1, 28):
                        labels = b"".join(bytes([len(one)]) + one.encode() for one in name.split("."))
                        question = (
                            struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0) + labels + struct.pack("!BHH", 0, kind, 1)
                        )
                        sock.sendto(question, (net["server"].ip, 53))
                        sock.recv(1000)
            with net["client"].create_connection((net["server"].ip, 53)) as stream:
                stream.sendall(struct.pack("!H", len(question)) + question)
                stream.recv(1000)
        agree(recorder.frames, tmp_path, {"dns.a", "dns.aaaa", "dns.qry.name", "tcp.len"})


def test_vlan(netns_pair: NetNSPair, tmp_path: Path) -> None:
    """Not every kernel has interfaces for VLANs, but all let tagged frames pass."""
    left, right = netns_pair
    with recording({"left": left, "right": right}) as recorder:
        with left.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
            sock.bind(("eth0", 0))
            sock.send(ethernet(vlan(0x600A, ip(udp(b"hello"))), 0x8100))
            sock.send(ethernet(vlan(20, vlan(30, ip(tcp(b"hello"), 6)), 0x8100), 0x8100))
    agree(recorder.frames, tmp_path, {"vlan.id", "udp.length", "tcp.len"})


@pytest.mark.netns_requires("vxlan")
def test_vxlan(netns_pair: NetNSPair, tmp_path: Path) -> None:
    left, right = netns_pair
    add_tunnel(left, right, "10.42.0.1")
    add_tunnel(right, left, "10.42.0.2")
    with recording({"left": left, "right": right}) as recorder:
        with right.create_server(("10.42.0.2", 80)), left.create_connection(("10.42.0.2", 80)):
            pass
    agree(recorder.frames, tmp_path, {"vxlan.vni", "tcp.options.mss_val", "arp.opcode"})


def test_tls(netns_pair: NetNSPair, tmp_path: Path) -> None:
    left, right = netns_pair
    with recording({"left": left, "right": right}) as recorder:
        with right.create_server((right.ip, 443)) as listener:
            with left.create_connection((right.ip, 443)) as client, listener.accept()[0]:
                incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
                tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="server.example")
                with pytest.raises(ssl.SSLWantReadError):
                    tls.do_handshake()
                client.sendall(outgoing.read())
    agree(recorder.frames, tmp_path, {"tls.handshake.extensions_server_name"})
