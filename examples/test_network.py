"""Networks in a line of text: a client and a server with three routers between them, and an office behind a switch.

    client -- r1 -- r2 -- r3 -- server        web  db  printer
                                                 \\  |  /
                                                  office -- router -- user

The plugin picks what the text leaves out: addresses, MAC addresses, names of interfaces, routes. They are the same on
every run.
"""

from __future__ import annotations

import pytest
from example_tools import show

from pytest_netns import Topology


@pytest.mark.netns_topology("client -- r1 -- r2 -- r3 -- server")
def test_a_line_of_routers(netns_topology: Topology) -> None:
    net = netns_topology
    show(str(net))
    listening = net["server"].create_server((net["server"].ip, 80))
    with net["client"].create_connection((net["server"].ip, 80), timeout=5) as client:
        connection, address = listening.accept()
        with connection:
            assert address[0] == net["client"].ip
            client.sendall(b"over three routers")
            show(f"the server got {connection.recv(100).decode()!r} from {address[0]}")


def test_an_office(netns_topology: Topology) -> None:
    net = netns_topology
    net.host("db", "192.0.2.10")
    net.router("router")
    net.lan("office", "web", "db", "printer", "router", networks=["192.0.2.0/24"])
    net.link("router", "user")
    show(str(net))
    with net["db"].create_server((net["db"].ip, 5432)) as listening:
        for name in ("web", "printer", "user"):
            with net[name].create_connection((net["db"].ip, 5432), timeout=5):
                connection, address = listening.accept()
                connection.close()
                show(f"{name} reached the database from {address[0]}")
