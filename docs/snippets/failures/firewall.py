import pytest

RULES = """
table inet filter {
    chain passing {
        type filter hook forward priority 0;
        tcp dport 80 counter drop
    }
}
"""


@pytest.mark.netns_topology("client -- router -- server")
def test_behind_a_firewall(netns_topology):
    client, router, server = (netns_topology[name] for name in ("client", "router", "server"))
    router.nft(RULES)
    listening = server.create_server((server.ip, 80))
    client.create_connection((server.ip, 80), timeout=0.5)
    listening.close()
