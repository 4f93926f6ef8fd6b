def test_two_hosts(netns_pair):
    left, right = netns_pair
    server = left.create_server(("192.0.2.1", 80))
    client = right.create_connection(("192.0.2.1", 80), timeout=5)
    connection, address = server.accept()
    with connection:
        assert address[0] == "192.0.2.2"
        client.sendall(b"hello")
        assert connection.recv(100) == b"hello"
