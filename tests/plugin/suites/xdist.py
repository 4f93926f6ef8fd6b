import os
import socket

import pytest


@pytest.mark.parametrize("number", range(12))
def test_the_same_port_and_name(make_netns, number):
    ns = make_netns(name=f"same-{os.getppid()}")
    with ns.create_server(("127.0.0.1", 80)), ns.create_connection(("127.0.0.1", 80)):
        assert ns.name in os.listdir("/run/netns")


@pytest.mark.netns_child_mode("fork", "mp", "mp:spawn")
@pytest.mark.parametrize("number", range(2))
def test_modes(netns, number):
    netns.socket().close()


def test_pyroute2(netns_pair):
    left, _ = netns_pair
    assert left.ipr.link_lookup(ifname="eth0")


@pytest.fixture(scope="session")
def lab(netns_factory):
    with netns_factory("lab") as ns:
        yield ns


@pytest.mark.parametrize("number", range(4))
def test_wide(lab, number):
    lab.socket(socket.AF_INET6).close()
