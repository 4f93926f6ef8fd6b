import socket

import pytest

pytestmark = pytest.mark.netns_requires("nat")


@pytest.mark.netns_topology("gateway [nat]\nphone -- gateway -- server")
def test_a_session_goes_on_by_another_port(netns_topology):
    phone, gateway, server = (netns_topology[name] for name in ("phone", "gateway", "server"))
    client, service = (host.socket(socket.AF_INET, socket.SOCK_DGRAM) for host in (phone, server))
    service.bind((server.ip, 4500))
    service.settimeout(10)

    client.sendto(b"hello", (server.ip, 4500))
    _, before = service.recvfrom(100)
    gateway.rebind()
    client.sendto(b"hello again", (server.ip, 4500))
    _, after = service.recvfrom(100)

    assert before[0] == after[0] == str(gateway.outside.addresses[0].ip)
    assert before[1] != after[1]
