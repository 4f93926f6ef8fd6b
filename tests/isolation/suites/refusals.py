import asyncio
import socket
import subprocess


def test_address():
    socket.create_connection(("192.0.2.7", 4711))


def test_literal():
    with socket.socket() as sock:
        # fmt: off
        sock.connect(
            ("192.0.2.8", 4711)
        )
        # fmt: on


def test_name():
    socket.create_connection(("host.example", 4712))


class Client:
    host, port = "2001:db8::7", 53

    def __init__(self):
        self.address = (self.host, self.port)

    def send(self):
        if socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b"", self.address):
            return


def test_attribute():
    Client().send()


def test_cause():
    try:
        socket.getaddrinfo("other.example", 80)
    except OSError as error:
        raise ValueError("no data") from error


class Odd(ValueError):
    exceptions = "none", 3


def test_odd():
    try:
        socket.gethostbyname("third.example")
    except OSError:
        raise Odd  # noqa: B904 (its context is what is told)


def test_asyncio():
    asyncio.run(asyncio.open_connection("192.0.2.9", 4711))


def test_command():
    done = subprocess.run(["ip", "route", "get", "192.0.2.8"], capture_output=True, text=True)
    assert not done.returncode, done.stderr


def test_another_reason():
    socket.create_connection(("127.0.0.1", 4713))
