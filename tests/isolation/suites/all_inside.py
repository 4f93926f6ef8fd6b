import socket
import subprocess

import pytest
from places import HOME, in_a_thread, place

from pytest_netns._linux import syscalls


@pytest.fixture(scope="module")
def wide():
    assert place() == HOME
    yield
    assert place() == HOME


@pytest.fixture
def narrow(wide):
    assert place() != HOME
    yield place()
    assert place() != HOME


@pytest.fixture(autouse=True)
def first_of_all():
    assert place() != HOME


def setup_function():
    assert place() != HOME


SEEN = []


@pytest.mark.parametrize("n", range(3))
def test_inside(n, narrow, netns):
    assert place() == narrow == netns.inode == in_a_thread(place)
    text = subprocess.run(["readlink", "/proc/self/ns/net"], capture_output=True, text=True, check=True).stdout
    assert str(narrow) in text
    with socket.create_server(("127.0.0.1", 80)), socket.create_connection(("127.0.0.1", 80)):
        pass
    SEEN.append(syscalls.namespace_cookie())  # the inode of one that is gone may be used again


def test_last(wide):
    assert place() != HOME
    seen = [*SEEN, syscalls.namespace_cookie()]
    assert len(set(seen)) == len(seen) or not any(seen)  # Linux before 5.14 has no cookies
