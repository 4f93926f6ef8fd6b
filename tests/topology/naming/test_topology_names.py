"""The hosts of a network find each other by name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from pytest_netns import MakeTopology, NetNSPair, Topology

pytestmark = pytest.mark.core
LOOK_UP = "import socket, sys; print(*sorted({one[4][0] for one in socket.getaddrinfo(sys.argv[1], 80)}))"


def looked_up(net: Topology, host: str, name: str) -> list[str]:
    """Return what a program in a host finds for a name."""
    command = [sys.executable, "-c", LOOK_UP, name]
    return net[host].run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()


@pytest.mark.netns_topology("client -- router -- server")
def test_every_host_has_the_names_of_all(netns_topology: Topology) -> None:
    net = netns_topology
    assert looked_up(net, "client", "server") == [net["server"].ip, net["server"].ip6]
    assert looked_up(net, "server", "router") == ["10.0.1.2", "10.0.2.1", "2001:db8:0:1::2", "2001:db8:0:2::1"]
    with net["server"].create_server(("server", 80)):
        net["client"].create_connection(("server", 80), timeout=5).close()


def test_a_pair_has_names_too(netns_pair: NetNSPair) -> None:
    with netns_pair.right.create_server(("right", 80)):
        netns_pair.left.create_connection(("right", 80), timeout=5).close()


@pytest.mark.netns_topology("client -- router -- server")
def test_an_address_is_reached_by_name_and_a_silent_one_is_not(netns_topology: Topology) -> None:
    net = netns_topology
    net["client"].reach("server")
    net["server"].crash()
    with pytest.raises(AssertionError, match="server"):
        net["client"].reach("server", timeout=0.2)


def test_a_name_server_says_what_the_test_tells_it(netns_topology_factory: MakeTopology) -> None:
    pytest.importorskip("dns")
    with netns_topology_factory("client -- router -- ns") as net:
        server = net.dns("ns")
        server.answer("www.example.com", "A", "192.0.2.80")
        assert looked_up(net, "client", "www.example.com") == ["192.0.2.80"]
        assert {query.name for query in server.queries} == {"www.example.com"}


@pytest.mark.netns_topology("client -- server")
def test_names_outlive_a_reset(netns_topology: Topology) -> None:
    assert looked_up(netns_topology, "client", "server")
    netns_topology.reset()
    assert looked_up(netns_topology, "client", "server") == ["10.0.1.2", "2001:db8:0:1::2"]
    with netns_topology["server"].create_server(("server", 80)):
        netns_topology["client"].create_connection(("server", 80), timeout=5).close()
