import pytest

OFFICE = """
    sw [switch]
    db [192.0.2.10]
    sw -- {web db router} [192.0.2.0/24]
    router [router]
    router -- isp -- user          # two more links, and isp is a router too
"""


@pytest.mark.netns_topology(OFFICE)
def test_the_user_reaches_the_web(netns_topology):
    web, user = netns_topology["web"], netns_topology["user"]
    listening = web.create_server((web.ip, 80))
    user.create_connection((web.ip, 80), timeout=5)
    connection, address = listening.accept()
    with connection:
        assert address[0] == user.ip
    assert netns_topology["db"].ip == "192.0.2.10"
