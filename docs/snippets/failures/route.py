import pytest


@pytest.mark.netns_topology("client -- r1 -- r2 -- server")
def test_over_two_routers(netns_topology):
    client, r2, server = (netns_topology[name] for name in ("client", "r2", "server"))
    r2.ipr.route("del", dst="10.0.1.0/24", gateway="10.0.2.1")
    listening = server.create_server((server.ip, 80))
    client.create_connection((server.ip, 80), timeout=0.5)
    listening.close()
