import pytest


@pytest.mark.parametrize("hops", [1, 3, 7])
def test_a_line_of_routers(netns_topology, hops):
    routers = [f"r{number}" for number in range(hops)]
    netns_topology.line("client", *routers, "server")
    client, server = netns_topology["client"], netns_topology["server"]
    server.create_server((server.ip6, 80), family=10)  # AF_INET6
    client.create_connection((server.ip6, 80), timeout=5)


def test_a_cut_link(netns_topology):
    netns_topology.line("client", "router", "server")
    client, server = netns_topology["client"], netns_topology["server"]
    cable = server.interfaces["eth0"]
    assert cable.peer.host.label == "router"
    cable.down()
    with pytest.raises(TimeoutError):
        client.create_connection((server.ip, 80), timeout=0.5)
    cable.up()
    server.create_server((server.ip, 80))
    client.create_connection((server.ip, 80), timeout=5)
