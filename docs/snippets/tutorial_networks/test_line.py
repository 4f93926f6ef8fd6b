import pytest


@pytest.mark.netns_topology("client -- router -- server")
def test_line(netns_topology):
    client, server = netns_topology["client"], netns_topology["server"]
    listening = server.create_server((server.ip, 80))
    with client.create_connection((server.ip, 80), timeout=5) as asking:
        connection, address = listening.accept()
        with connection:
            assert address[0] == client.ip
            asking.sendall(b"hello")
            assert connection.recv(100) == b"hello"
