import pytest


def test_the_router_fails(net):
    net["router"].crash()
    with pytest.raises(TimeoutError):
        net["client"].create_connection((net["server"].ip, 80), timeout=0.5)


def test_a_small_mtu(net):
    router = net["router"].interfaces["eth1"]
    net["router"].ipr.link("set", index=router.index, mtu=1280)
    exchange(net)


def test_all_is_as_it_was(net):
    net["router"].interfaces["eth1"].down()
    net.reset()
    exchange(net)


def exchange(net):
    server = net["server"].create_server((net["server"].ip, 80))
    with net["client"].create_connection((net["server"].ip, 80)) as client:
        connection, _ = server.accept()
        with connection:
            client.sendall(b"hello")
            assert connection.recv(5) == b"hello"
