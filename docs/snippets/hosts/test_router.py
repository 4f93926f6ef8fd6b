import pytest


def link(left, left_address, right, right_address, name):
    """Join two namespaces by a veth link that has this name on both sides."""
    peer = {"ifname": name, "net_ns_fd": right.fileno()}
    left.ipr.link("add", ifname=name, kind="veth", peer=peer)
    for ns, address in ((left, left_address), (right, right_address)):
        index = ns.ipr.link_lookup(ifname=name)[0]
        ns.ipr.addr("add", index=index, address=address, prefixlen=24)
        ns.ipr.link("set", index=index, state="up")


@pytest.fixture
def network(make_netns):
    # client 10.0.1.2 -- 10.0.1.1 router 10.0.2.1 -- 10.0.2.2 server
    client, server = make_netns("client"), make_netns("server")
    router = make_netns("router", sysctl={"net.ipv4.ip_forward": 1})
    link(router, "10.0.1.1", client, "10.0.1.2", "net1")
    link(router, "10.0.2.1", server, "10.0.2.2", "net2")
    client.ipr.route("add", dst="default", gateway="10.0.1.1")
    server.ipr.route("add", dst="default", gateway="10.0.2.1")
    return client, router, server


def test_through_the_router(network):
    client, _, server = network
    listening = server.create_server(("10.0.2.2", 80))
    client.create_connection(("10.0.2.2", 80), timeout=10)
    connection, address = listening.accept()
    with connection:
        assert address[0] == "10.0.1.2"


def test_without_forwarding(network):
    client, router, server = network
    router.sysctl["net.ipv4.ip_forward"] = 0
    server.create_server(("10.0.2.2", 80))
    with pytest.raises(TimeoutError):
        client.create_connection(("10.0.2.2", 80), timeout=0.5)
