import pytest

pytestmark = pytest.mark.netns_requires("nat")

TWO_HOMES = """
    home1, home2 [nat]
    internet [switch]
    laptop -- [192.168.1.0/24] -- home1 -- internet
    phone -- [192.168.1.0/24] -- home2 -- internet
    internet -- server
"""


@pytest.mark.netns_topology(TWO_HOMES)
def test_two_homes_with_the_same_addresses(netns_topology):
    laptop, phone, server = (netns_topology[name] for name in ("laptop", "phone", "server"))
    assert laptop.ip == phone.ip == "192.168.1.1"
    listening = server.create_server((server.ip, 80))
    sources = []
    for host in (laptop, phone):
        host.create_connection((server.ip, 80), timeout=10)
        connection, source = listening.accept()
        connection.close()
        sources.append(source[0])
    assert sources == [str(netns_topology[name].outside.addresses[0].ip) for name in ("home1", "home2")]
