import errno
import os
import socket
import threading
import urllib.request


def test_several():
    for host in ("192.0.2.1", "192.0.2.2"):
        with socket.socket() as sock:
            error = sock.connect_ex((host, 80))
    assert not error, os.strerror(error)


def test_the_last_ones():
    for number in range(1, 9):
        try:
            socket.create_connection((f"192.0.2.{number}", 80))
        except OSError as error:
            last = error
    raise last


def test_loopback_is_not_wanted():
    with socket.create_server(("127.0.0.1", 80)):
        socket.create_connection(("127.0.0.1", 80)).close()
        socket.create_connection(("localhost", 80)).close()
        socket.create_connection(("192.0.2.1", 80))


def test_of_a_thread():
    found = []

    def work():
        try:
            urllib.request.urlopen("http://host.example/")
        except OSError as error:
            found.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    raise found[0]


def test_fresh():
    raise OSError(errno.ENETUNREACH, os.strerror(errno.ENETUNREACH))
