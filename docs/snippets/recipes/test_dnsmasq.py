import shutil
import socket
import subprocess

import pytest

from pytest_netns import listening

DNSMASQ = shutil.which("dnsmasq", path="/usr/sbin:/usr/bin")


def ask(sock, server, name):
    """Return the last address of the answer to a question for A records (RFC 1035)."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    sock.settimeout(5)
    sock.sendto(b"\0\1\1\0\0\1\0\0\0\0\0\0" + labels + b"\0\0\1\0\1", (server, 53))
    return socket.inet_ntoa(sock.recv(512)[-4:])


@pytest.mark.skipif(DNSMASQ is None, reason="there is no dnsmasq; install dnsmasq-base")
def test_dnsmasq(netns_pair):
    left, right = netns_pair
    left.popen(
        [
            *(DNSMASQ, "--no-daemon", "--conf-file=/dev/null"),  # --no-daemon keeps the user, too
            *("--no-resolv", "--no-hosts", "--address=/server.test/192.0.2.7"),
            *("--bind-interfaces", "--listen-address=192.0.2.1"),
        ],
        stderr=subprocess.PIPE,
        ready=[listening(53, "udp", "192.0.2.1"), listening(53, "tcp", "192.0.2.1")],
    )
    with right.socket(type=socket.SOCK_DGRAM) as sock:
        assert ask(sock, "192.0.2.1", "server.test") == "192.0.2.7"
