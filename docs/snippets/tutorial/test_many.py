import pytest


@pytest.mark.parametrize("number", range(200))
def test_port_80(netns, number):
    server = netns.create_server(("127.0.0.1", 80))
    client = netns.create_connection(("127.0.0.1", 80))
    connection, _ = server.accept()
    with connection:
        client.sendall(b"%d" % number)
        assert connection.recv(100) == b"%d" % number
