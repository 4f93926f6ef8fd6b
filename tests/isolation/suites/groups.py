import asyncio
import socket
import struct

import pytest

from conftest import REMEDY

GROUP, GROUP6 = socket.inet_aton("239.0.0.1"), socket.inet_pton(socket.AF_INET6, "ff05::fb")
SOURCE = socket.inet_aton("192.0.2.1")
ANY = bytes(4)
IP_ADD_SOURCE_MEMBERSHIP, MCAST_JOIN_GROUP = 39, 42  # <linux/in.h>


def join(sock):
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, GROUP + ANY)


def join_with_an_index(sock):
    sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, struct.pack("4s4si", GROUP, ANY, 0))


def join_in_several_lines(sock):
    sock.setsockopt(
        socket.IPPROTO_IP,
        socket.IP_ADD_MEMBERSHIP,
        GROUP + ANY,
    )


def join_a_source(sock):
    sock.setsockopt(socket.IPPROTO_IP, IP_ADD_SOURCE_MEMBERSHIP, GROUP + ANY + SOURCE)


def join_by_the_newer_call(sock):
    request = struct.pack("@I4xHH4s120x", 0, socket.AF_INET, 0, GROUP)
    sock.setsockopt(socket.IPPROTO_IP, MCAST_JOIN_GROUP, request)


def send(sock):
    sock.sendto(b"", ("239.0.0.1", 5353))


def send_where_the_report_does_not_say(sock, address=("224.0.0.251", 5353)):
    sock.sendto(b"", address)


def send_a_message(sock):
    sock.sendmsg([b""], [], 0, ("239.0.0.1", 5353))


def connect(sock):
    sock.connect(("239.0.0.1", 5353))


def let_asyncio_connect(sock):
    async def main():
        await asyncio.get_running_loop().sock_connect(sock, ("239.0.0.1", 5353))

    sock.setblocking(False)
    asyncio.run(main())


def fail_by_another_error(sock):
    try:
        send(sock)
    except OSError as error:
        raise RuntimeError("nobody answers") from error


def broadcast(sock, address=("255.255.255.255", 5353)):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.sendto(b"", address)


def broadcast_by_name(sock):
    broadcast(sock, ("<broadcast>", 5353))


def connect_to_broadcast(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.connect(("255.255.255.255", 5353))


def join6(sock):
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, GROUP6 + bytes(4))


def join6_by_the_newer_call(sock):
    request = struct.pack("@I4xHHI16s104x", 0, socket.AF_INET6, 0, 0, GROUP6)
    sock.setsockopt(socket.IPPROTO_IPV6, MCAST_JOIN_GROUP, request)


def send6(sock):
    sock.sendto(b"", ("ff05::fb", 5353))


def send6_to_a_link(sock):
    sock.sendto(b"", ("ff02::fb%lo", 5353))


def send6_to_an_index(sock):
    sock.sendto(b"", ("ff02::fb", 5353, 0, 1))


def connect6(sock):
    sock.connect(("ff05::fb", 5353))


OF_IPV4 = [
    join,
    join_with_an_index,
    join_in_several_lines,
    join_a_source,
    join_by_the_newer_call,
    send,
    send_where_the_report_does_not_say,
    send_a_message,
    connect,
    let_asyncio_connect,
    fail_by_another_error,
    broadcast,
    broadcast_by_name,
    connect_to_broadcast,
]
OF_IPV6 = [join6, join6_by_the_newer_call, send6, send6_to_a_link, send6_to_an_index, connect6]
forms_of = {socket.AF_INET: OF_IPV4, socket.AF_INET6: OF_IPV6}
every_form = pytest.mark.parametrize(
    ("family", "form"), [(family, form) for family, forms in forms_of.items() for form in forms]
)


@every_form
def test_told(netns, family, form):
    form(netns.socket(family, socket.SOCK_DGRAM))


@every_form
def test_reached(netns, family, form):
    for command in REMEDY:
        netns.run(command, check=True)
    form(netns.socket(family, socket.SOCK_DGRAM))


def test_another_address(netns):
    netns.create_connection(("192.0.2.1", 80))


def test_an_address_after_a_group(netns_pair):
    sock = netns_pair.left.socket(type=socket.SOCK_DGRAM)
    with pytest.raises(OSError, match="unreachable"):
        send(sock)
    netns_pair.left.create_connection(("198.51.100.1", 80))


def test_no_such_link(netns):
    netns.ipr.link("set", index=7, state="up")


def test_outside():
    raise OSError(19, "No such device: IP_ADD_MEMBERSHIP")
