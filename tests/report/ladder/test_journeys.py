"""What became of packets, told by where their frames were seen."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

import pytest

from pytest_netns import Nat, NetNSPair, Topology
from pytest_netns._frames.frame import Frame
from pytest_netns._frames.transport import UDP
from pytest_netns._report.ladder.messages import messages_of
from tests.frames.build import ip, tcp, udp
from tests.support.recording import add_tunnel, links_of, of_hosts, of_network
from tests.support.recording import recording as recorded

from .network import ADDRESSES, END, MACS, MS, A, B, crossing, messages, seen, told, travel

NAT = "198.51.100.254"


def datagram(text: bytes = b"hi", source: str = A, destination: str = B, number: int = 0) -> Callable[[int], bytes]:
    return lambda ttl: ip(udp(text), 17, source, destination, ttl=ttl, number=number)


def segment(
    sequence: int, size: int = 10, *, flags: int = 0x18, number: int = 1, back: bool = False
) -> Callable[[int], bytes]:
    ends, ports = ((B, A), (80, 1000)) if back else ((A, B), (1000, 80))
    return lambda ttl: ip(tcp(b"x" * size, *ports, flags=flags, sequence=sequence), 6, *ends, ttl=ttl, number=number)


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ("arb", 'a arrived b: UDP 2 B "hi"'),
        ("a-", 'a lost r: UDP 2 B "hi"; lost, a → r'),
        ("ar", 'a stopped r: UDP 2 B "hi"; stopped at r'),
        ("ar-", 'a lost b: UDP 2 B "hi"; lost, r → b'),
    ],
)
def test_where_a_packet_was_last_seen(ends: str, expected: str) -> None:
    assert told(travel(0, datagram(), ends=ends)) == [expected]


@pytest.mark.parametrize(
    "recorded", [{"a": (0, END)}, {"a": (0, END), "r": (2, END)}, {"a": (0, END), "r": (0, MS // 2)}]
)
def test_nothing_is_called_lost_where_the_other_end_was_not_recorded(recorded: dict[str, tuple[int, int]]) -> None:
    assert told(travel(1, datagram(), ends="a-"), recorded=recorded) == ['a unseen r: UDP 2 B "hi"']


def test_what_may_still_be_under_way_is_not_lost() -> None:
    slow = travel(0, datagram(b"slow"), took=50 * MS)
    late = travel(END - 60 * MS, datagram(b"late"), ends="ar-")
    assert told(slow, late)[1] == 'a unseen b: UDP 4 B "late"'


def test_a_link_that_nobody_knows() -> None:
    assert told(travel(0, datagram(), ends="a-"), links={}) == ['a unseen b: UDP 2 B "hi"']
    assert told(travel(0, datagram()), links={}, addresses={}) == ['a arrived b: UDP 2 B "hi"']
    shown = told(travel(0, datagram()), travel(MS, datagram(b"ho"), ends="ar-"), links={})
    assert shown[1] == 'a lost b: UDP 2 B "ho"; lost, r → b'


def test_the_sender_was_not_recorded() -> None:
    frames = [frame for frame in travel(0, datagram()) if frame.namespace != "a"]
    assert told(frames) == ['a arrived b: UDP 2 B "hi"']
    assert told(frames, addresses={}) == ['None arrived b: UDP 2 B "hi"']


def test_the_copies_of_a_link() -> None:
    assert told(travel(0, datagram(), arrivals=2)) == ['a arrived b: UDP 2 B "hi"; arrived twice']
    assert told(travel(0, datagram(), arrivals=3)) == ['a arrived b: UDP 2 B "hi"; arrived 3 times']


@pytest.mark.parametrize("lost", [0, 1, 2])
def test_which_one_of_equal_packets_was_lost(lost: int) -> None:
    sent = [travel(number * MS, datagram(), ends="ar-" if number == lost else "arb") for number in range(3)]
    assert [one.fate.kind for one in messages(*sent)] == [
        "lost" if number == lost else "arrived" for number in range(3)
    ]


def test_out_of_order() -> None:
    first, second = travel(0, datagram(b"1"), took=5 * MS), travel(MS, datagram(b"2"))
    assert told(first, second) == ['a arrived b: UDP 1 B "1"; took 5 ms; out of order', 'a arrived b: UDP 1 B "2"']


def test_retransmissions() -> None:
    lost, probe = travel(0, segment(1), ends="ar-"), travel(MS, segment(11), ends="ar-")
    again = [travel(number * 10 * MS, segment(1, number=number)) for number in (2, 3, 4, 5)]
    assert [line.partition("; ")[2] for line in told(lost, probe, *again)] == [
        "lost, r → b",
        "lost, r → b",
        *("retransmission", "2nd retransmission", "3rd retransmission", "4th retransmission"),
    ]


def test_retransmissions_of_all_that_was_sent() -> None:
    first = [travel(number * MS, segment(1 + 10 * number), ends="ar-") for number in range(3)]
    again = [travel((10 + number) * MS, segment(1 + 10 * number, number=2)) for number in range(3)]
    after = travel(20 * MS, segment(31))
    assert [line.partition("; ")[2] for line in told(*first, *again, after)[3:]] == ["retransmission"] * 3 + [""]


def test_sequences_that_begin_anew() -> None:
    top = (1 << 32) - 5
    assert told(travel(0, segment(top)), travel(MS, segment(5)), travel(2 * MS, segment(top, number=2))) == [
        'a arrived b: 10 B "xxxxxxxxxx"',
        'a arrived b: 10 B "xxxxxxxxxx"',
        'a arrived b: 10 B "xxxxxxxxxx"; retransmission',
    ]


def test_another_connection_of_the_same_ports() -> None:
    syns = [travel(number * MS, segment(begin, 0, flags=2)) for number, begin in enumerate((1000, 5))]
    assert [line.partition("; ")[2] for line in told(*syns)] == ["", "no answer"]


def test_a_keep_alive() -> None:
    probe = travel(MS, segment(10, 0, flags=0x10))
    assert told(travel(0, segment(1)), probe)[1] == "a arrived b: ACK; keep-alive"


def test_a_refusal_and_a_reset() -> None:
    syn, refusal = travel(0, segment(5, 0, flags=2)), travel(MS, segment(0, 0, flags=0x14, back=True), ends="bra")
    # It acknowledges 1, which is what a SYN of number 0 would have.
    assert told(syn, refusal) == ["a arrived b: SYN", "b arrived a: RST"]
    assert told(travel(0, segment(0, 0, flags=2)), refusal) == ["a arrived b: SYN", "b arrived a: RST; refused"]


def test_a_copy_that_a_switch_sends_elsewhere_is_not_lost() -> None:
    """A switch sends to all ports what it has no address of yet, and one of those may be cut."""
    packet = datagram()(64)
    wide = [Frame(2000, "r", port, True, seen(0, ("a", "eth0"), True, packet).data, 44) for port in ("eth1", "eth2")]
    frames = [
        *crossing(0, ("a", "eth0"), packet),
        *wide,
        wide[0]._replace(time=3000, namespace="b", interface="eth0", is_outgoing=False),
    ]
    assert told(frames) == ['a arrived b: UDP 2 B "hi"']


def test_a_copy_that_a_switch_sends_elsewhere_is_not_for_who_gets_it() -> None:
    spoken = [*crossing(0, ("c", "eth0"), datagram(b"I am c")(64))]
    packet = seen(0, ("a", "eth0"), True, datagram()(64))
    for_b = packet.data[5:6].replace(packet.data[5:6], bytes([MACS["b", "eth0"]])) + packet.data[6:]
    ends = [("a", "eth0"), ("r", "eth0"), ("r", "eth1"), ("b", "eth0"), ("r", "eth2"), ("c", "eth0")]
    frames = [Frame(MS + at, *end, not at % 2, b"\0" * 5 + for_b, 44) for at, end in enumerate(ends)]
    assert told(spoken, frames, addresses={})[1] == 'a arrived b: UDP 2 B "hi"'


@pytest.mark.parametrize("protocol", [17, 132])
def test_what_routers_change(protocol: int) -> None:
    """They count down and mark congestion, and the interface may be the one to write the checksum."""
    packets = []
    for tos, ttl, checksum in ((0, 64, 1), (0, 64, 2), (3, 63, 2), (3, 63, 2)):
        packet = bytearray(ip(udp(b"hi"), protocol, A, B, ttl=ttl, number=0))
        packet[1], packet[11], packet[27] = tos, checksum, checksum if protocol == 17 else 0
        packets.append(bytes(packet))
    ends = [("a", "eth0"), ("r", "eth0"), ("r", "eth1"), ("b", "eth0")]
    frames = [seen(at, end, not at % 2, packet) for at, (end, packet) in enumerate(zip(ends, packets, strict=True))]
    assert [(one.fate.kind, one.passed) for one in messages(frames)] == [("arrived", ["r"])]


def test_segments_that_were_cut_on_the_way() -> None:
    big = list(crossing(0, ("a", "eth0"), segment(1, 30)(64)))
    small = [
        frame
        for number in range(3)
        for frame in crossing(3000 + number, ("r", "eth1"), segment(1 + number * 10)(63), arrivals=number != 1)
    ]
    assert told(big, small) == [
        'a arrived b: 10 B "xxxxxxxxxx"',
        'a lost b: 10 B "xxxxxxxxxx"; lost, r → b',
        'a arrived b: 10 B "xxxxxxxxxx"',
    ]


def test_segments_that_were_cut_on_a_link() -> None:
    big = [
        *crossing(0, ("a", "eth0"), segment(1, 30)(64)),
        *crossing(2000, ("r", "eth1"), segment(1, 30)(63), arrivals=0),
    ]
    small = [seen(3000 + number, ("b", "eth0"), False, segment(1 + number * 10)(63)) for number in range(3)]
    assert told(big, small) == ['a arrived b: 10 B "xxxxxxxxxx"'] * 3


def test_segments_that_became_one() -> None:
    small = [frame for number in range(3) for frame in crossing(number, ("a", "eth0"), segment(1 + number * 10)(64))]
    big = list(crossing(3000, ("r", "eth1"), segment(1, 30)(63)))
    assert told(small, big) == ['a arrived b: 10 B "xxxxxxxxxx"'] * 3


@pytest.mark.netns_topology("client -- router -- [mtu=1300] -- server")
def test_datagrams_that_a_router_cuts(netns_topology: Topology) -> None:
    client, server = netns_topology["client"], netns_topology["server"]
    with recorded({name: netns_topology[name] for name in netns_topology}) as recorder:
        with (
            client.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock,
            server.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        ):
            receiver.bind((server.ip, 9))
            sock.setsockopt(socket.IPPROTO_IP, 10, 0)  # IP_MTU_DISCOVER, IP_PMTUDISC_DONT
            sock.sendto(b"x" * 1400, (server.ip, 9))
            receiver.recv(2000)
    found = [one for one in messages_of(of_network(netns_topology, recorder)) if not one.content.is_neighbourly]
    assert [(one.source, one.target, one.label) for one in found] == [
        ("client", "server", "UDP fragment, bytes 0 to 1280"),
        ("client", "server", "UDP fragment, bytes 1280 to 1408"),
    ]


def through_nat(time: int, source: str, text: bytes, port: int, begin: str = "a") -> list[Frame]:
    """Return a datagram that the router sends from its own address."""
    inside = ip(udp(text), 17, source, B, number=0)
    outside = ip(udp(text, port), 17, NAT, B, number=0, ttl=63)
    return [*crossing(time, (begin, "eth0"), inside), *crossing(time + 2000, ("r", "eth1"), outside)]


def test_a_nat() -> None:
    there = through_nat(0, A, b"hi", 6000)
    back = [*crossing(MS, ("b", "eth0"), ip(udp(b"hi", 9, 6000), 17, B, NAT, number=0))]
    back += crossing(MS + 2000, ("r", "eth0"), ip(udp(b"hi", 9, 1000), 17, B, A, number=0, ttl=63))
    owners = {**ADDRESSES, NAT: "r"}
    assert told(there, back, addresses=owners) == ['a arrived b: UDP 2 B "hi"', 'b arrived a: UDP 2 B "hi"']


def test_an_answer_is_not_what_a_nat_has_made_of_the_question() -> None:
    there = [*crossing(0, ("a", "eth0"), ip(udp(b"hi", 1000, 7), 17, A, "192.0.2.254", number=0))]
    back = [*crossing(MS, ("r", "eth0"), ip(udp(b"hi", 7, 1000), 17, "192.0.2.254", A, number=0, ttl=32))]
    assert told(there, back) == ['a arrived r: UDP 2 B "hi"', 'r arrived a: UDP 2 B "hi"']


def test_packets_that_cannot_be_told_apart_behind_a_nat() -> None:
    one, other = through_nat(0, A, b"hi", 6000), through_nat(100, "192.0.2.3", b"hi", 6001, begin="c")
    owners = {**ADDRESSES, NAT: "r", "192.0.2.3": "c"}
    assert told(one, other, addresses=owners) == [
        'a unseen b: UDP 2 B "hi"; not to be told apart behind r',
        'c unseen b: UDP 2 B "hi"; not to be told apart behind r',
        'r arrived b: UDP 2 B "hi"',
        'r arrived b: UDP 2 B "hi"',
    ]


@pytest.mark.netns_requires("nat")
@pytest.mark.netns_topology("home [nat]\nclient -- home -- server")
def test_a_real_nat(netns_topology: Topology) -> None:
    client, server = netns_topology["client"], netns_topology["server"]
    assert isinstance(netns_topology["home"], Nat)
    with recorded({name: netns_topology[name] for name in netns_topology}) as recorder:
        with server.create_server((server.ip, 80)) as listener, client.create_connection((server.ip, 80)) as sock:
            with listener.accept()[0] as accepted:
                sock.sendall(b"hello")
                accepted.recv(10)
                accepted.sendall(b"hello")
                sock.recv(10)
    found = [one for one in messages_of(of_network(netns_topology, recorder)) if one.tcp and not one.is_acknowledgment]
    assert found
    assert {(one.source, one.target, one.fate.kind) for one in found} == {
        ("client", "server", "arrived"),
        ("server", "client", "arrived"),
    }
    assert all(one.passed == ["home"] for one in found)


def arp(operation: int, sender: str, target: str) -> bytes:
    head = struct.pack("!HHBBH", 1, 0x0800, 6, 4, operation)
    return head + b"\2" * 6 + socket.inet_aton(sender) + b"\0" * 6 + socket.inet_aton(target)


def test_questions_that_nobody_answers() -> None:
    asked = [seen(MS, ("a", "eth0"), True, arp(1, A, "192.0.2.9"), 0x0806)]
    asked += [seen(MS + 1, ("r", "eth0"), False, arp(1, A, "192.0.2.9"), 0x0806)]
    answered = [seen(0, ("a", "eth0"), True, arp(1, A, "192.0.2.254"), 0x0806)]
    answered += [seen(1, ("r", "eth0"), False, arp(1, A, "192.0.2.254"), 0x0806)]
    answered += [seen(2, ("r", "eth0"), True, arp(2, "192.0.2.254", A), 0x0806)]
    answered += [seen(3, ("a", "eth0"), False, arp(2, "192.0.2.254", A), 0x0806)]
    assert [line.partition("; ")[2] for line in told(answered, asked)] == ["", "", "no answer"]
    ping = travel(0, lambda ttl: ip(b"\x08\0\0\0\0\1\0\1", 1, A, B, ttl=ttl))
    pong = travel(MS, lambda ttl: ip(b"\0\0\0\0\0\1\0\1", 1, B, A, ttl=ttl), ends="bra")
    assert told(ping) == ["a arrived b: echo request 1; no answer"]
    assert told(ping, pong) == ["a arrived b: echo request 1", "b arrived a: echo reply 1"]


def test_an_error_answers() -> None:
    syn = segment(0, 0, flags=2)
    error = travel(MS, lambda ttl: ip(b"\3\1\0\0\0\0\0\0" + syn(60), 1, "192.0.2.254", A, ttl=ttl), ends="bra")
    assert told(travel(0, syn), error) == [
        "a arrived b: SYN",
        "b arrived a: ICMP host unreachable; about TCP to port 80",
    ]


def test_loopback() -> None:
    packet = ip(udp(b"hi", 1000, 9), 17, "127.0.0.1", "127.0.0.1")
    data = b"\0" * 12 + b"\x08\0" + packet
    frames = [Frame(number, "a", "lo", number == 0, data, len(data)) for number in (0, 1)]
    assert told(frames) == ['a arrived a: UDP 2 B "hi"']


@pytest.mark.netns_requires("vxlan")
def test_a_tunnel_is_a_part_of_the_way(netns_pair: NetNSPair) -> None:
    """The packet is seen twice at each end: by itself, and within what carries it."""
    left, right = netns_pair
    add_tunnel(left, right, "10.42.0.1")
    add_tunnel(right, left, "10.42.0.2")
    with recorded({"left": left, "right": right}) as recorder:
        with left.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"hello", ("10.42.0.2", 9))
    found = messages_of(of_hosts(["left", "right"], recorder, links_of({"left": left, "right": right})))
    assert [(one.source, one.target, one.label, one.fate.copies) for one in found if one.content.ends.kind is UDP] == [
        ("left", "right", 'UDP 5 B "hello"', 1)
    ]
