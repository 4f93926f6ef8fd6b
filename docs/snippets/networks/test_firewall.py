import pytest


@pytest.mark.netns_topology("client -- router -- server")
def test_behind_a_firewall(netns_topology):
    client, router, server = (netns_topology[name] for name in ("client", "router", "server"))
    server.create_server(("server", 80))
    client.reach("server", 80)
    for address, prefix in ((server.ip, 32), (server.ip6, 128)):
        router.ipr.route("add", dst=f"{address}/{prefix}", type="prohibit")
    client.blocked("server", 80)
