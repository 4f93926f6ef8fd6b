"""NATs in networks that break."""

from __future__ import annotations

import pytest

from pytest_netns import Nat, Topology, TopologyError
from pytest_netns._netns import nftables
from tests.topology.breaking.test_reset import seen
from tests.topology.test_topology import is_reached

pytestmark = [pytest.mark.core, pytest.mark.netns_requires("nft")]

TEXT = "gateway [nat]\nsw [switch]\nphone -- gateway -- sw\nsw -- {server other} [192.0.2.0/24]"


@pytest.mark.netns_topology(TEXT)
def test_a_reset_of_a_nat(netns_topology: Topology) -> None:
    net = netns_topology
    gateway = net["gateway"]
    assert isinstance(gateway, Nat)
    before, address = seen(net), gateway.outside.addresses[0]
    for _ in range(2):
        assert is_reached(net["phone"], net["server"])
        gateway.rebind(address=True)
        assert gateway.outside.addresses[0] != address
        net.reset()
        assert seen(net) == before
        assert gateway.outside.addresses[0] == address
        assert is_reached(net["phone"], net["server"])
        assert not is_reached(net["server"], net["phone"], timeout=0.05)
        assert gateway.run(["getent", "hosts", "server"]).returncode == 0
        tables = gateway.run([nftables.program(), "list", "tables"], capture_output=True, text=True, check=True).stdout
        assert len(tables.splitlines()) == 2


@pytest.mark.netns_topology(TEXT)
def test_a_partition_around_a_nat(netns_topology: Topology) -> None:
    net = netns_topology
    net.partition({"phone"}, {"server"})
    assert not is_reached(net["phone"], net["server"], timeout=0.05)
    assert is_reached(net["phone"], net["other"])
    net.heal()
    assert is_reached(net["phone"], net["server"])


@pytest.mark.netns_topology("n1, n2 [nat]\na -- n1 -- r -- n2:wan\nn2 -- b\nn2 [outside=wan]\nr [router]\nr -- c")
def test_a_partition_of_two_nats(netns_topology: Topology) -> None:
    with pytest.raises(TopologyError, match=r"'a' and 'b' are both behind a NAT \(n1, n2\)"):
        netns_topology.partition({"a"}, {"b"})
    netns_topology.partition({"a", "n1"}, {"b"})
    netns_topology.partition({"a"}, {"c"})


@pytest.mark.netns_topology(TEXT + "\nsw2 [switch]\nsw2 -- {x r} [198.51.100.0/24]\nr -- sw\nr [router]")
def test_a_nat_that_is_replugged(netns_topology: Topology) -> None:
    net = netns_topology
    before, phone = seen(net), net["phone"]
    net["gateway"].replug("eth1", "sw2")
    assert net["gateway"].interfaces["eth1"].addresses[0].ip.exploded.startswith("198.51.100.")
    assert is_reached(phone, net["x"])
    assert is_reached(phone, net["server"])
    assert phone.run(["getent", "hosts", "server"]).returncode == 0
    net.reset()
    assert seen(net) == before
    assert is_reached(phone, net["server"])


@pytest.mark.netns_topology(TEXT + "\nsw2 [switch]\nsw2 -- {x r} [198.51.100.0/24]\nr -- sw\nr [router]")
def test_a_nat_that_is_replugged_and_takes_another_address(netns_topology: Topology) -> None:
    net = netns_topology
    gateway = net["gateway"]
    assert isinstance(gateway, Nat)
    before, addresses = seen(net), gateway.outside.addresses
    gateway.replug("eth1", "sw2")
    gateway.rebind(address=True)
    assert is_reached(net["phone"], net["x"])
    net.reset()
    assert gateway.outside.addresses == addresses
    assert seen(net) == before
    assert is_reached(net["phone"], net["server"])
