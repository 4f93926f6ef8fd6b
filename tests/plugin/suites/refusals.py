import _socket
import asyncio
import contextlib
import socket
import sys
import threading
import urllib.request

import pytest

from pytest_netns import listening

LOOPBACK = ("127.0.0.1", 0)
DGRAM = socket.SOCK_DGRAM
LATER = []


def bound(make, address=LOOPBACK):
    sock = make(type=DGRAM)
    sock.bind(address)
    return sock


@pytest.fixture
def server(netns):
    return netns.create_server(LOOPBACK).getsockname()


# What is told


def test_plain(server):
    socket.socket().connect(server)


def test_helper(server):
    socket.create_connection(server)


def test_name(server):
    socket.create_connection(("localhost", server[1]))


def test_in_a_block(netns):
    with netns.create_server(LOOPBACK) as listening, socket.socket() as sock:
        sock.connect(listening.getsockname())


def test_in_a_thread(server):
    errors = []

    def connect():
        try:
            socket.create_connection(server)
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=connect)
    thread.start()
    thread.join()
    raise RuntimeError("no server") from errors[0]


def test_urllib(server):
    urllib.request.urlopen(f"http://127.0.0.1:{server[1]}/")


def test_asyncio(server):
    asyncio.run(asyncio.open_connection("localhost", server[1]))


def test_trio(server):
    trio = pytest.importorskip("trio")
    trio.run(trio.open_tcp_stream, *server)


def test_httpx(server):
    httpx = pytest.importorskip("httpx")
    httpx.get(f"http://127.0.0.1:{server[1]}/")


def test_program(netns):
    netns.popen([sys.executable, "-m", "http.server", "8765"], ready=listening(8765))
    socket.create_connection(("127.0.0.1", 8765))


def test_ipv6(netns):
    server = netns.create_server(("::1", 0), family=socket.AF_INET6)
    socket.create_connection(server.getsockname()[:2])


def test_udp(netns):
    server, client = bound(netns.socket), socket.socket(type=DGRAM)
    client.settimeout(10)
    client.connect(server.getsockname())
    client.send(b"x")
    client.recv(1)


def test_the_last_of_several(server):
    with socket.create_server(LOOPBACK) as outside, socket.socket() as one, socket.socket() as other:
        one.connect(outside.getsockname())
        other.connect(server)


class Client:
    def __init__(self, address):
        self.sock = socket.socket(type=DGRAM)
        self.sock.settimeout(10)
        self.sock.connect(address)

    def ask(self):
        self.sock.send(b"x")
        return self.sock.recv(1)


def test_udp_elsewhere(netns):
    server = bound(netns.socket)
    Client(server.getsockname()).ask()


def test_fails_otherwise(server):
    try:
        socket.create_connection(server)
    except OSError:
        pytest.fail("no server")


@pytest.fixture
def connected(server):
    return socket.create_connection(server)


def test_set_up(connected):
    pass


def test_named(make_netns):
    server = make_netns("server").create_server(LOOPBACK)
    make_netns("client").create_connection(server.getsockname())


def test_from_inside(netns):
    with socket.create_server(LOOPBACK) as server:
        netns.create_connection(server.getsockname())


def test_from_inside_by_name(netns):
    with socket.create_server(LOOPBACK) as server:
        netns.create_connection(("localhost", server.getsockname()[1]))


def test_hosts(netns_pair):
    server = netns_pair.left.create_server((netns_pair.left.ip, 80))
    netns_pair.right.create_connection(("127.0.0.1", 80))
    server.close()


@pytest.mark.netns_topology("client -- server")
def test_loopback_of_a_host(netns_topology):
    client, server = netns_topology["client"], netns_topology["server"]
    listening = server.create_server(("127.0.0.1", 80))
    client.create_connection(("127.0.0.1", 80))
    listening.close()


@pytest.mark.netns_topology("client -- server")
def test_outside_and_a_host(netns_topology):
    server = netns_topology["server"].create_server(LOOPBACK)
    socket.create_connection(server.getsockname())


# What is not


def test_nobody(netns):
    socket.create_connection(("127.0.0.1", 1))


def test_another_port(server):
    socket.create_connection(("127.0.0.1", 1))


def test_another_protocol(netns):
    server = bound(netns.socket)
    socket.create_connection(server.getsockname())


def test_expected(server):
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(server)
    assert not server


def test_another_reason(server):
    raise ConnectionRefusedError(111, "of the test")


def test_both_listen(netns):
    with socket.create_server(LOOPBACK) as outside:
        address = outside.getsockname()
        inside = netns.create_server(address)
        with contextlib.closing(socket.create_connection(address)):
            socket.socket().connect(("127.0.0.1", 1))
        inside.close()


def test_it_listens_by_now(server):
    try:
        socket.create_connection(server)
    except OSError:
        LATER.append(socket.create_server(server))
        raise


def test_it_was_reached_by_another_socket_meanwhile(netns):
    with contextlib.suppress(OSError):
        netns.create_connection(("127.0.0.1", 1))
    netns.create_server(("127.0.0.1", 1))
    raise RuntimeError("of the test")


def test_only_the_wrong_address(netns):
    server = netns.create_server(("127.0.0.2", 0))
    with socket.create_server(("127.0.0.1", server.getsockname()[1])):
        socket.create_connection(("127.0.0.3", 1))


def test_passes(server):
    sock = _socket.socket()  # that of C, which has no weak references
    with pytest.raises(ConnectionRefusedError):
        sock.connect(server)
    with pytest.raises(OverflowError):
        sock.connect(("127.0.0.1", 1 << 20))
    with pytest.raises(TypeError):
        sock.connect(())
    sock.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        sock.bind(("127.0.0.1", 0))
