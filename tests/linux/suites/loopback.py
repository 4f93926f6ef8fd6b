import asyncio
import socket
import struct

import pytest

IPV4, IPV6 = socket.AF_INET, socket.AF_INET6
pytestmark = pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")


@pytest.mark.parametrize(
    ("host", "family"),
    [("127.0.0.1", IPV4), ("127.0.0.1", 0), ("localhost", IPV4), ("::1", IPV6), ("::1", 0), ("localhost", 0)],
)
def test_names_where_addresses_must_be_configured(host, family):
    found = socket.getaddrinfo(host, 80, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG)
    assert {address[0] for *_, address in found} <= {"127.0.0.1", "::1"}


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_client_and_a_server_of_asyncio(host):
    async def main():
        server = await asyncio.start_server(lambda reader, writer: writer.close(), host, 80)
        reader, writer = await asyncio.open_connection(host, 80)
        assert await reader.read() == b""
        writer.close()
        server.close()

    asyncio.run(main())


def exchange(group, receive):
    family = IPV6 if ":" in group else IPV4
    with socket.socket(family, socket.SOCK_DGRAM) as receiver, socket.socket(family, socket.SOCK_DGRAM) as sender:
        receiver.settimeout(20)
        receiver.bind(("", 5353))
        receive(receiver)
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sender.sendto(b"here", (group, 5353))
        data, (source, *_) = receiver.recvfrom(100)
    assert data == b"here"
    return source


def test_multicast():
    group = socket.inet_aton("239.0.0.1") + socket.inet_aton("0.0.0.0")

    def join(sock):
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group)

    assert exchange("239.0.0.1", join) == "127.0.0.1"


@pytest.mark.parametrize("address", ["ff02::1234", "ff15::1234"])
def test_multicast_of_ipv6(address):
    group = socket.inet_pton(IPV6, address) + struct.pack("I", 0)

    def join(sock):
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, group)

    assert exchange(address, join).startswith("fe80::1")


@pytest.mark.parametrize("address", ["255.255.255.255", "127.255.255.255"])
def test_broadcast(address):
    assert exchange(address, lambda sock: None) == "127.0.0.1"


@pytest.mark.parametrize("address", ["192.0.2.1", "2001:db8::1"])
def test_there_is_no_way_out(address):
    with pytest.raises(OSError, match="Network is unreachable"):
        socket.create_connection((address, 80))
