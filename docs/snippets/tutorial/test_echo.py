def test_echo(netns):
    server = netns.create_server(("127.0.0.1", 80))
    client = netns.create_connection(("127.0.0.1", 80))
    connection, _ = server.accept()
    with connection:
        client.sendall(b"hello")
        connection.sendall(connection.recv(100))
        assert client.recv(100) == b"hello"
