def test_mtu(lab):
    assert lab["client"].ipr.link("get", ifname="eth0")[0].get("mtu") == 1500


def test_ttl(lab):
    server = lab["server"].create_server((lab["server"].ip, 80))
    client = lab["client"].create_connection((lab["server"].ip, 80), timeout=5)
    assert client.getpeername() == server.getsockname()
