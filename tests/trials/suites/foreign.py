import socket

import pytest


def test_passes():
    with socket.create_server(("127.0.0.1", 80)):
        pass


def test_fails():
    raise KeyError("why")


@pytest.mark.skip
def test_skipped():
    pass


@pytest.fixture(scope="module")
def server():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()


def test_server(server):
    socket.create_connection(server).close()


@pytest.fixture
def fails_late():
    yield
    raise OSError("late")


def test_late(fails_late):
    pass


def test_machine():
    with pytest.raises(OSError, match="unreachable"):
        socket.create_connection(("198.51.100.1", 80))
