"""Tests that fail, for what their reports show of what was recorded."""

import logging
import socket
import threading
import time

import pytest

RULES = """
table inet filter {
    chain passing {
        type filter hook forward priority 0;
        tcp dport 80 counter drop
    }
}
"""


@pytest.mark.netns_topology("client -- router -- server")
def test_firewall(netns_topology):
    client, router, server = (netns_topology[name] for name in ("client", "router", "server"))
    router.nft(RULES)
    listening = server.create_server((server.ip, 80))
    logging.warning("</script> connecting now")
    client.create_connection((server.ip, 80), timeout=0.3)
    listening.close()


def exchange(netns):
    with netns.create_server(("127.0.0.1", 80)) as server:
        client = netns.create_connection(("127.0.0.1", 80))
        accepted, _ = server.accept()
        with accepted:
            client.sendall(b"a secret payload")
            assert accepted.recv(100) == b"a secret payload"


def test_loopback(netns):
    exchange(netns)
    pytest.fail("after the exchange")


def test_passes(netns):
    exchange(netns)


def test_fake_files(netns, request):
    pytest.importorskip("pyfakefs")
    request.getfixturevalue("fs")
    exchange(netns)
    pytest.fail("with a file system of its own")


def test_a_thread_sends(netns):
    def send():
        netns.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 53))

    thread = threading.Thread(target=send)
    thread.start()
    thread.join()
    time.sleep(0)
    pytest.fail("after the datagram")


def test_nothing_is_sent(netns):
    pytest.fail("at once")
