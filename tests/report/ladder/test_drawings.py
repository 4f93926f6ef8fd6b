"""Whole drawings of what real programs sent. Times are steps, and what no program has asked for is left out."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from pathlib import Path

import pytest

from pytest_netns import NetNS, Topology
from pytest_netns._frames.decoding import decode
from pytest_netns._frames.transport import TCP
from pytest_netns._report.ladder.drawing import draw
from tests.support.helpers import eventually
from tests.support.recording import Recorder, of_network, recording

CLIENT_PORT = 40000
DRAWINGS = Path(__file__).parent / "drawings"


def drawing(net: Topology, recorder: Recorder, width: int = 100, *, pauses: bool = False) -> str:
    """Return a drawing without what is only counted: how often TCP acknowledges depends on the machine's load."""
    return draw(of_network(net, recorder, pauses=pauses), width=width).partition("\nnot shown")[0]


def is_drawn(text: str, name: str) -> None:
    """Compare a drawing with that of a file."""
    assert text == (DRAWINGS / f"{name}.txt").read_text().rstrip("\n"), f"\n{text}"


def recorded(net: Topology) -> contextlib.AbstractContextManager[Recorder]:
    return recording({name: net[name] for name in net})


def connected(client: NetNS, address: str, port: int) -> socket.socket:
    return client.create_connection((address, port), source_address=("0.0.0.0", CLIENT_PORT))


def datagrams(client: NetNS) -> socket.socket:
    sock = client.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("0.0.0.0", CLIENT_PORT))
    return sock


@pytest.mark.netns_topology("client -- server")
def test_hello(netns_topology: Topology) -> None:
    client, server = netns_topology["client"], netns_topology["server"]
    with recorded(netns_topology) as recorder, server.create_server((server.ip, 80)) as listener:
        recorder.note("12  with client.create_connection((server.ip, 80)) as sock:")
        with connected(client, server.ip, 80) as sock, listener.accept()[0] as accepted:
            recorder.note('13      sock.sendall(b"GET / HTTP/1.1\\r\\n\\r\\n")')
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            accepted.recv(100)
            recorder.note('"GET / HTTP/1.1" 200 -', "server")
            accepted.sendall(b"HTTP/1.1 200 OK\r\n\r\nhello")
            sock.recv(100)
            accepted.sendall(b"\1\2\3\xff")
            sock.recv(100)
            sock.close()
            accepted.recv(1)
    is_drawn(drawing(netns_topology, recorder), "hello")
    is_drawn(drawing(netns_topology, recorder, width=60), "hello-60")


@pytest.mark.netns_topology("client -- router -- server")
def test_refused(netns_topology: Topology) -> None:
    client, server = netns_topology["client"], netns_topology["server"]
    with recorded(netns_topology) as recorder:
        recorder.note("12  client.create_connection((server.ip, 80))")
        with pytest.raises(ConnectionRefusedError):
            connected(client, server.ip, 80)
        recorder.note('13  sock.sendto(b"hello", (server.ip, 9))')
        with datagrams(client) as sock:
            sock.sendto(b"hello", (server.ip, 9))
    is_drawn(drawing(netns_topology, recorder), "refused")


def count_syns(recorder: Recorder, name: str) -> int:
    """Return how many SYNs a host has seen so far."""
    segments = (decode(frame).get(TCP) for frame in recorder.so_far(name))
    return sum(segment is not None and segment.syn for segment in segments)


@pytest.mark.slow
@pytest.mark.netns_requires("nft")
@pytest.mark.netns_topology("client -- router -- server")
def test_silent_server(netns_topology: Topology) -> None:
    client, server = netns_topology["client"], netns_topology["server"]
    server.nft("table inet t { chain c { type filter hook input priority 0; tcp dport 80 drop; }; }")
    with recorded(netns_topology) as recorder, client.socket() as sock:
        recorder.note("12  client.create_connection((server.ip, 80), timeout=2)")
        sock.bind(("0.0.0.0", CLIENT_PORT))
        sock.setblocking(False)
        sock.connect_ex((server.ip, 80))
        eventually(lambda: count_syns(recorder, "server") == 2, "SYN is sent again")
    is_drawn(drawing(netns_topology, recorder, pauses=True), "silent-server")


@pytest.mark.netns_topology("client -- router -- server")
def test_lost_datagram(netns_topology: Topology) -> None:
    """What is larger than its MTU, a veth drops at the other end, before anything there has seen it."""
    client, server = netns_topology["client"], netns_topology["server"]
    server.ipr.link("set", index=server.interfaces["eth0"].index, mtu=1300)
    with recorded(netns_topology) as recorder, datagrams(client) as sock, datagrams(server) as receiver:
        sock.sendto(b"hello", (server.ip, CLIENT_PORT))
        receiver.recv(100)
        sock.sendto(b"x" * 1400, (server.ip, CLIENT_PORT))
        sock.sendto(b"are you there?", (server.ip, CLIENT_PORT))
        receiver.recv(100)
    is_drawn(drawing(netns_topology, recorder), "lost-datagram")


@pytest.mark.netns_topology("client -- resolver")
def test_dns(netns_topology: Topology) -> None:
    client, resolver = netns_topology["client"], netns_topology["resolver"]
    question = b"".join(bytes([len(one)]) + one for one in (b"www", b"example", b"test", b"")) + b"\0\1\0\1"
    with recorded(netns_topology) as recorder, datagrams(client) as sock:
        with resolver.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind((resolver.ip, 53))
            for answer in (b"", b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\xc0\0\2\1"):
                sock.sendto(struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0) + question, (resolver.ip, 53))
                _, address = server.recvfrom(1000)
                head = struct.pack("!HHHHHH", 7, 0x8180 if answer else 0x8183, 1, bool(answer), 0, 0)
                server.sendto(head + question + answer, address)
                sock.recv(1000)
    is_drawn(drawing(netns_topology, recorder), "nxdomain")


@pytest.mark.netns_topology("client -- server")
def test_tls_handshake_that_breaks_off(netns_topology: Topology) -> None:
    client, server = netns_topology["client"], netns_topology["server"]
    with recorded(netns_topology) as recorder, server.create_server((server.ip, 443)) as listener:
        with connected(client, server.ip, 443) as sock, listener.accept()[0] as accepted:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            hello = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="server.example")
            with pytest.raises(ssl.SSLWantReadError):
                hello.do_handshake()
            sock.sendall(outgoing.read())
            answering = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).wrap_bio(incoming, outgoing, server_side=True)
            incoming.write(accepted.recv(10000))
            recorder.note("no certificate", "server")
            with pytest.raises(ssl.SSLError):
                answering.do_handshake()
            accepted.sendall(outgoing.read())
            sock.recv(100)
            accepted.close()
            sock.recv(100)
    is_drawn(drawing(netns_topology, recorder), "tls-alert")


@pytest.mark.netns_topology("client -- router -- server")
def test_ping_where_a_link_is_down(netns_topology: Topology) -> None:
    client, server = netns_topology["client"], netns_topology["server"]
    with recorded(netns_topology) as recorder:
        recorder.note("12  router.interfaces['eth1'].down()")
        netns_topology["router"].interfaces["eth1"].down()
        with client.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
            recorder.note("13  client.reach(server.ip)")
            sock.sendto(b"\x08\0\xf7\xfe\0\0\0\1", (server.ip, 0))
    is_drawn(drawing(netns_topology, recorder), "ping")


@pytest.mark.slow
@pytest.mark.netns_requires("nft")
@pytest.mark.netns_topology("client -- r1 -- [mtu=1300] -- r2 -- server")
def test_mtu_black_hole(netns_topology: Topology) -> None:
    client, server = netns_topology["client"], netns_topology["server"]
    netns_topology["r1"].nft("table ip t { chain c { type filter hook output priority 0; ip protocol icmp drop; }; }")
    with recorded(netns_topology) as recorder, server.create_server((server.ip, 80)) as listener:
        with connected(client, server.ip, 80) as sock, listener.accept()[0] as accepted:
            sock.sendall(b"small")
            accepted.recv(100)
            sock.sendall(b"x" * 1400)
            eventually(lambda: count_large(recorder) == 2, "the segment is sent again")
            recorder.stop()
    is_drawn(drawing(netns_topology, recorder), "mtu-black-hole")


def count_large(recorder: Recorder) -> int:
    """Return how many large frames have come to the first router so far."""
    return sum(frame.length > 1400 and not frame.is_outgoing for frame in recorder.so_far("r1"))
