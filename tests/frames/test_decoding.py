"""The layers of frames that are written by hand: those that programs don't send on demand."""

from __future__ import annotations

import struct

import pytest

from pytest_netns._frames.decoding import Packet, quoted
from pytest_netns._frames.dns import DNS, Answer, Question
from pytest_netns._frames.ethernet import ARP, VLAN, Ethernet
from pytest_netns._frames.http import HTTP
from pytest_netns._frames.icmp import ICMP, ICMPv6
from pytest_netns._frames.ip import Fragment, IPv4, IPv6
from pytest_netns._frames.layer import Unknown
from pytest_netns._frames.tls import TLS
from pytest_netns._frames.transport import TCP, UDP
from pytest_netns._frames.tunnels import GRE, VXLAN

from .build import A, B, dns, ethernet, ip, ip6, name, packet, record, tcp, udp, vlan


def layers(found: Packet) -> list[str]:
    return [layer.name for layer in found]


def test_a_datagram() -> None:
    found = packet(ethernet(ip(udp(b"hello"))))
    assert layers(found) == ["Ethernet", "IPv4", "UDP", "unknown"]
    assert found.last.data[found.last.start :] == b"hello"
    first, header, datagram = found.get(Ethernet), found.get(IPv4), found.get(UDP)
    assert first is not None
    assert header is not None
    assert datagram is not None
    assert (first.source, first.destination) == ("00:00:00:00:00:01", "00:00:00:00:00:02")
    assert (header.source, header.destination, header.ttl) == (A, B, 64)
    assert (datagram.ports, datagram.payload, datagram.payload_length) == ((1000, 9), b"hello", 5)


def test_padding_is_no_payload() -> None:
    found = packet(ethernet(ip(udp(b"hi")) + b"\0" * 16)).get(UDP)
    assert found is not None
    assert found.payload == b"hi"


def test_layers_are_decoded_when_they_are_asked_for() -> None:
    found = packet(ethernet(ip(tcp(b"GET / HTTP/1.1\r\n\r\n"), 6)))
    assert found.get(IPv4)
    assert len(found._layers) == 2


def test_stacked_tags() -> None:
    found = packet(ethernet(vlan(100, vlan(0xE000 | 10, ip(udp(b""))), 0x8100), 0x88A8))
    assert [(tag.vid, tag.priority) for tag in found.all(VLAN)] == [(100, 0), (10, 7)]
    assert found.get(UDP)


def test_options_of_ip() -> None:
    found = packet(ethernet(ip(udp(b"hi"), options=b"\x94\x04\0\0")))
    header = found.get(IPv4)
    assert header is not None
    assert header.options == b"\x94\x04\0\0"
    assert found.get(UDP)


def test_only_the_first_fragment_has_ports() -> None:
    first, second = (packet(ethernet(ip(udp(b"x" * 8, length=2000), fragment=number))) for number in (0x2000, 185))
    header = first.get(IPv4)
    assert header is not None
    assert (header.is_fragment, header.more_fragments, header.offset) == (True, True, 0)
    assert first.get(UDP)
    header = second.get(IPv4)
    assert header is not None
    assert (header.is_fragment, header.more_fragments, header.offset) == (True, False, 1480)
    assert layers(second) == ["Ethernet", "IPv4", "unknown"]


def test_extension_headers() -> None:
    options = struct.pack("!BB6x", 44, 0)
    fragment = struct.pack("!BBHI", 17, 0, 1, 99)
    found = packet(ethernet(ip6(options + fragment + udp(b"hi"), 0), 0x86DD))
    assert layers(found) == ["Ethernet", "IPv6", "IPv6 extension", "IPv6 fragment", "UDP", "unknown"]
    part = found.get(Fragment)
    assert part is not None
    assert (part.offset, part.more_fragments, part.identification) == (0, True, 99)
    later = packet(ethernet(ip6(struct.pack("!BBHI", 17, 0, 1480, 99) + udp(b"hi"), 44), 0x86DD))
    assert layers(later) == ["Ethernet", "IPv6", "IPv6 fragment", "unknown"]


def test_options_of_tcp() -> None:
    options = b"\x02\x04\x05\xb4\x01\x03\x03\x07\x04\x02\x08\x0a" + struct.pack("!II", 5, 6)
    options += b"\x05\x0a" + struct.pack("!II", 100, 200)
    found = packet(ethernet(ip(tcp(b"hi", options=options + b"\0" * 2, flags=0x12), 6))).get(TCP)
    assert found is not None
    assert found.options == (1460, 7, True, ((100, 200),), (5, 6))
    assert (found.syn, found.ack, found.fin, found.rst, found.psh) == (True, True, False, False, False)
    assert (found.payload, found.span) == (b"hi", 3)


@pytest.mark.parametrize(
    "options", [b"\x02\x00\0\0", b"\x02\x01\0\0", b"\x02\xff\0\0", b"\x05\x03\0\0", b"\x08\x02\0\0"]
)
def test_broken_options_of_tcp(options: bytes) -> None:
    found = packet(ethernet(ip(tcp(options=options), 6))).get(TCP)
    assert found is not None
    assert found.options == (None, None, False, (), None)


def test_a_cut_frame_has_its_lengths() -> None:
    whole = ethernet(ip(tcp(b"x" * 1000), 6))
    found = packet(whole[: 14 + 20 + 20], len(whole)).get(TCP)
    assert found is not None
    assert (found.payload_length, found.payload) == (1000, b"")


def test_a_segment_of_more_than_64_kib() -> None:
    found = packet(ethernet(ip(tcp(b"x" * 70_000), 6, total=0))).get(TCP)
    assert found is not None
    assert found.payload_length == 70_000


def test_arp() -> None:
    body = b"\0\1\x08\0\6\4\0\1" + b"\2" * 6 + b"\xc0\0\2\1" + b"\0" * 6 + b"\xc0\0\2\2"
    found = packet(ethernet(body, 0x0806)).get(ARP)
    assert found is not None
    assert (found.operation, found.sender, found.target, found.sender_mac) == (1, A, B, "02:02:02:02:02:02")


def test_errors_quote_a_packet_that_is_none_of_the_layers() -> None:
    found = packet(ethernet(ip(b"\3\3\0\0\0\0\0\0" + ip(udp(b"hello", 7, 9))[:28], 1)))
    error = found.get(ICMP)
    assert error is not None
    assert error.description == "port unreachable"
    assert found.get(UDP) is None
    about = quoted(error)
    assert about is not None
    datagram = about.get(UDP)
    assert datagram is not None
    assert (datagram.ports, datagram.payload_length) == ((7, 9), 5)


def test_too_big() -> None:
    found = packet(ethernet(ip6(struct.pack("!BBHI", 2, 0, 0, 1280) + ip6(udp(b"")), 58), 0x86DD)).get(ICMPv6)
    assert found is not None
    assert (found.description, found.mtu) == ("packet too big", 1280)
    found4 = packet(ethernet(ip(struct.pack("!BBHHH", 3, 4, 0, 0, 1300) + ip(udp(b"")), 1))).get(ICMP)
    assert found4 is not None
    assert (found4.description, found4.mtu) == ("fragmentation needed", 1300)


def test_neighbours() -> None:
    target = bytes.fromhex("20010db8000000000000000000000002")
    body = struct.pack("!BBHI", 136, 0, 0, 0) + target + b"\2\1" + b"\6" * 6
    found = packet(ethernet(ip6(body, 58), 0x86DD)).get(ICMPv6)
    assert found is not None
    assert (found.target, found.link_address, found.is_neighbour_discovery) == (
        "2001:db8::2",
        "06:06:06:06:06:06",
        True,
    )


def test_gre() -> None:
    found = packet(ethernet(ip(b"\xa0\0\x08\0\0\0\0\0\0\0\0\x2a" + ip(udp(b"hi")), 47)))
    tunnel = found.get(GRE)
    assert tunnel is not None
    assert tunnel.key == 42
    assert layers(found) == ["Ethernet", "IPv4", "GRE", "IPv4", "UDP", "unknown"]


def test_vxlan_carries_a_frame() -> None:
    inner = ethernet(ip(udp(b"hi"), source="10.0.0.1"), source=7)
    found = packet(ethernet(ip(udp(b"\x08\0\0\0\0\0\x2a\0" + inner, 5, 4789))))
    tunnel = found.get(VXLAN)
    assert tunnel is not None
    assert tunnel.vni == 42
    assert [header.source for header in found.all(IPv4)] == [A, "10.0.0.1"]


def of_dns(message: bytes) -> DNS:
    found = packet(ethernet(ip(udp(message, 53)))).get(DNS)
    assert found is not None
    return found


def test_compressed_names() -> None:
    question = name("www.example.test") + b"\0\1\0\1"
    answer = b"\xc0\x0c\0\5\0\1\0\0\0\x3c\0\6\3web\xc0\x10" + b"\xc0\x2e\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1"
    found = of_dns(dns(question + answer, answers=2, flags=0x8180))
    assert found.questions == [Question("www.example.test", "A")]
    assert found.answers == [
        Answer("www.example.test", "CNAME", 60, "web.example.test"),
        Answer("web.example.test", "A", 60, A),
    ]
    assert (found.is_response, found.rcode) == (True, "NOERROR")


@pytest.mark.parametrize(
    "body",
    [
        b"\xc0\x0c\0\1\0\1",  # to itself
        b"\xc0\x0e\xc0\x0c\0\1\0\1",  # to each other
        b"\3abc\xc0\x0c\0\1\0\1",  # round and round
        b"\xff\xff\0\1\0\1",  # beyond the message
        b"\x40abc\0\0\1\0\1",  # a label that is too long
        b"\3ab",
        b"",
        name("example.test"),  # without a type
    ],
)
def test_names_that_end_nowhere(body: bytes) -> None:
    assert of_dns(dns(body)).questions == []
    assert of_dns(dns(body, questions=65535, answers=65535)).answers == []


def test_dns_over_tcp() -> None:
    message = dns(name("example.test") + b"\0\x1c\0\1")
    found = packet(ethernet(ip(tcp(struct.pack("!H", len(message)) + message, 7, 53), 6))).get(DNS)
    assert found is not None
    assert found.questions == [Question("example.test", "AAAA")]


def of_tls(content: bytes) -> TLS:
    found = packet(ethernet(ip(tcp(content), 6))).get(TLS)
    assert found is not None
    return found


def test_tls() -> None:
    hello = b"\1\0\0\x36" + b"\3\3" + b"r" * 32 + b"\0" + b"\0\2\x13\1" + b"\1\0" + b"\0\x12"
    hello += b"\0\0\0\x0e\0\x0c\0\0\x09localhost"
    found = of_tls(record(hello))
    assert list(found.messages()) == ["ClientHello"]
    assert found.server_name == "localhost"
    assert list(of_tls(record(b"\2\x30", 21)).messages()) == ["alert: unknown CA"]
    assert list(of_tls(record(b"x" * 19, 21)).messages()) == ["alert, encrypted"]
    several = record(b"\2\0\0\1x\x0b\0\0\1x") + record(b"\1", 20) + record(b"\xf0" * 40) + record(b"x" * 9, 23)
    assert list(of_tls(several).messages()) == ["ServerHello", "Certificate", "handshake, encrypted", "9 B encrypted"]


@pytest.mark.parametrize("line", ["GET /path HTTP/1.1", "HTTP/1.0 404 Not Found"])
def test_http(line: str) -> None:
    found = packet(ethernet(ip(tcp(line.encode() + b"\r\nHost: x\r\n\r\n"), 6))).get(HTTP)
    assert found is not None
    assert found.first_line == line


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 13,
        ethernet(b""),
        ethernet(b"\x45" + b"\0" * 18),
        ethernet(b"\x41" + b"\0" * 30),
        ethernet(b"\x60" + b"\0" * 30, 0x86DD),
        ethernet(ip(b"\0" * 7)),
        ethernet(ip(b"\0" * 19, 6)),
        ethernet(ip(tcp()[:12] + b"\x10" + tcp()[13:], 6)),
        ethernet(b"\0\1\x08\0\6\4\0\1", 0x0806),
        ethernet(b"\0" * 46, 0x88CC),
    ],
)
def test_what_is_no_header_is_unknown(data: bytes) -> None:
    found = packet(data)
    assert not data[14:] or isinstance(found.last, Unknown)
    assert not any(isinstance(layer, (TCP, UDP, IPv6, ARP)) for layer in found)
    assert found.last.length <= len(data)
