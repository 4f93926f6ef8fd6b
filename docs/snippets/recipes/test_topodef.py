import pytest

from pytest_netns import Topology

TOPODEF = {"s1": "r1", "s2": ("r1", "r2"), "s3": "r2"}


@pytest.fixture(scope="module")
def net(netns_topology_factory):
    lans = Topology.from_lans(TOPODEF)
    lans.add("r1, r2 [routes=off]")  # further lines of the text form
    with netns_topology_factory(lans) as net:
        yield net


def test_a_topodef(net):
    assert list(net["r1"].interfaces) == ["r1-eth0", "r1-eth1"]
    neighbor = net["r2"].interfaces["r2-eth0"].addresses[0].ip
    assert net["r1"].wait_route(str(neighbor)) == ["r2"]
    net["r1"].reach(str(neighbor))
