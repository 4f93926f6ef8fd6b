def test_first(lab, server):
    lab.create_connection(("127.0.0.1", 80)).close()
    server.accept()[0].close()


def test_second(lab, server):
    lab.create_connection(("127.0.0.1", 80)).close()
    server.accept()[0].close()
