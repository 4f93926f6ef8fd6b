def test_echo(netns):
    server = netns.create_server(("127.0.0.1", 80))
    with netns.create_connection(("127.0.0.1", 80)) as client:
        connection, _ = server.accept()
        with connection:
            client.sendall(b"hello")
            assert connection.recv(5) == b"hello"
