import pytest


@pytest.mark.netns_topology(
    """
    home, office [switch]
    home -- {phone r1}
    office -- {printer r2}
    r1 -- r2 -- server
    r1, r2 [router]
    """
)
def test_roaming(netns_topology):
    net = netns_topology
    phone = net["phone"]
    before = phone.ip
    phone.replug("eth0", "office")
    assert phone.ip != before
    assert phone.interfaces["eth0"].peer.host is net["office"]
    with net["server"].create_server((net["server"].ip, 80)):
        phone.create_connection((net["server"].ip, 80), timeout=10).close()
