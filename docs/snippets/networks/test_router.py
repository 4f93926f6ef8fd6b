import pytest


@pytest.mark.netns_topology("client -- router -- server")
def test_through_the_router(netns_topology):
    client, server = netns_topology["client"], netns_topology["server"]
    listening = server.create_server((server.ip, 80))
    client.create_connection((server.ip, 80), timeout=5)
    connection, address = listening.accept()
    with connection:
        assert address[0] == client.ip


@pytest.mark.netns_topology("client -- router -- server")
def test_without_forwarding(netns_topology):
    client, router, server = (netns_topology[name] for name in ("client", "router", "server"))
    server.create_server((server.ip, 80))
    router.sysctl["net.ipv4.ip_forward"] = 0
    with pytest.raises(TimeoutError):
        client.create_connection((server.ip, 80), timeout=0.5)
