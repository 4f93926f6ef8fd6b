import pytest


@pytest.mark.netns_topology(
    """
    sw [switch]
    sw -- {db1 db2 db3 client}
    """
)
def test_a_partition(netns_topology):
    net = netns_topology
    net.partition({"db1", "db2"}, {"db3"})
    assert not answers(net["db3"], net["db1"], timeout=0.5)
    assert answers(net["db2"], net["db1"])
    assert answers(net["client"], net["db3"])  # it is in no group
    net.heal()
    assert answers(net["db3"], net["db1"])


def answers(client, server, timeout=10):
    with server.create_server((server.ip, 80)):
        try:
            client.create_connection((server.ip, 80), timeout=timeout).close()
        except TimeoutError:
            return False
        return True
