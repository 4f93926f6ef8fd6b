"""A test that fails on purpose: its report says why, draws the network, and shows what crossed the links.

    client               router                 server, which has lost its route back
    10.0.1.1  eth0 ----- eth0  10.0.1.2
                         eth1  10.0.2.1 ------- eth0  10.0.2.2

The client sees "timed out", and nothing else. ``--netns-capture=failed`` records the links, and pytest's ``--xfail-tb``
shows the report of a failure that is expected. The folder ``netns-artifacts`` then has a capture for Wireshark, and a
page for a browser.
"""

from __future__ import annotations

import socket

import pytest

from pytest_netns import Topology


@pytest.mark.xfail(reason="on purpose: see its report", raises=TimeoutError, strict=True)
@pytest.mark.netns_topology("client -- router -- server")
def test_a_server_without_a_route_back(netns_topology: Topology) -> None:
    client, server = netns_topology["client"], netns_topology["server"]
    server.ipr.route("del", dst="default", family=socket.AF_INET)
    with server.create_server((server.ip, 80)):
        client.create_connection((server.ip, 80), timeout=1.5)
