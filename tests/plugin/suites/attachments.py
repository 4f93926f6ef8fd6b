"""Tests that fail after an exchange, for the reports that others make of them."""

import pytest

TIMES = []


def exchange(netns):
    with netns.create_server(("127.0.0.1", 80)) as server:
        client = netns.create_connection(("127.0.0.1", 80))
        accepted, _ = server.accept()
        with accepted:
            client.sendall(b"x;#end")
            assert accepted.recv(100) == b"x;#end"


@pytest.mark.parametrize("case", ["a-b"])
def test_fails(netns, case):
    exchange(netns)
    pytest.fail("after the exchange")


def test_passes(netns):
    exchange(netns)


def test_flaky(netns):
    exchange(netns)
    TIMES.append(1)
    assert len(TIMES) > 2
