import socket

import pytest

pytestmark = pytest.mark.netns_requires("nat")


def udp(host):
    sock = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((host.ip, 5000))
    sock.settimeout(10)
    return sock


@pytest.mark.parametrize("left", ["full-cone", "restricted", "port-restricted", "symmetric"])
@pytest.mark.parametrize("right", ["full-cone", "restricted"])
def test_two_peers_meet(netns_topology, left, right):
    net = netns_topology
    net.switch("internet")
    net.nat("nat1", kind=left)
    net.nat("nat2", kind=right)
    net.line("a", "nat1", "internet")
    net.line("b", "nat2", "internet")
    net.link("rendezvous", "internet")
    a, b, rendezvous = (udp(net[name]) for name in ("a", "b", "rendezvous"))

    endpoints = []
    for peer in (a, b):
        peer.sendto(b"here I am", rendezvous.getsockname())
        endpoints.append(rendezvous.recvfrom(100)[1])
    b.sendto(b"opens the way, and may be lost", endpoints[0])
    a.sendto(b"hello b", endpoints[1])
    text, source = b.recvfrom(100)
    assert text == b"hello b"
    b.sendto(b"hello a", source)
    while a.recv(100) != b"hello a":
        pass
