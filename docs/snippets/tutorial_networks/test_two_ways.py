import socket

import pytest

RING = """
    r1 -- r2 -- r3 -- r4 -- r1     # four routers in a ring
    client -- r1
    r3 -- server
"""


@pytest.mark.netns_topology(RING)
def test_a_cut_cable(netns_topology):
    client, server = netns_topology["client"], netns_topology["server"]
    asking = client.socket(socket.AF_INET, socket.SOCK_DGRAM)
    answering = server.socket(socket.AF_INET, socket.SOCK_DGRAM)
    answering.bind((server.ip, 53))
    answering.settimeout(10)

    asking.sendto(b"one", (server.ip, 53))
    assert answering.recv(100) == b"one"

    netns_topology["r2"].interfaces["eth0"].down()
    asking.sendto(b"two", (server.ip, 53))
    answering.settimeout(0.5)
    with pytest.raises(TimeoutError):  # the routes are fixed: nobody tells r1 of the way over r4
        answering.recv(100)

    netns_topology["r2"].interfaces["eth0"].up()
    asking.sendto(b"three", (server.ip, 53))
    answering.settimeout(10)
    assert answering.recv(100) == b"three"
