import os
import socket


def listen(port):
    return os.getpid(), socket.create_server(("127.0.0.1", port))


def test_call_in_a_child(netns):
    pid, server = netns.call(listen, 80, child_mode="fork", timeout=5)
    with server:
        assert pid != os.getpid()
        netns.create_connection(server.getsockname())
