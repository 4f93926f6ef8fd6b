def test_an_answer(netns_pair):
    server, client = netns_pair
    listening = server.create_server((server.ip, 80))
    request = client.create_connection((server.ip, 80), timeout=0.5)
    answering, _ = listening.accept()
    request.sendall(b"GET / HTTP/1.0\r\n")
    answering.recv(100)
    assert request.recv(100)
