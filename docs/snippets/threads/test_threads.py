import socket
import threading


def test_a_server_in_a_thread(netns):
    def serve():
        # An ordinary program, which makes its own socket: this thread is inside.
        with socket.create_server(("127.0.0.1", 80)) as server:
            ready.set()
            connection, _ = server.accept()
            with connection:
                connection.sendall(b"hello")

    ready = threading.Event()
    netns.thread(target=serve).start()
    ready.wait()
    with netns.create_connection(("127.0.0.1", 80)) as client:
        assert client.recv(5) == b"hello"


def test_ten_clients_at_once(netns):
    server = netns.create_server(("127.0.0.1", 80))
    with netns.executor(max_workers=10) as pool:
        clients = list(pool.map(socket.create_connection, [("127.0.0.1", 80)] * 10))
    for client in clients:
        server.accept()[0].close()
        client.close()
