"""A DNS server, dnsmasq, on its real port 53 in one namespace, asked from another one.

dnspython is the client. It runs in the test process and knows nothing of namespaces: it takes the socket to use, and
that socket belongs to ``left``.
"""

from __future__ import annotations

import shutil
import subprocess
from socket import AF_INET, AF_INET6, SOCK_DGRAM, AddressFamily

import pytest
from example_tools import show, wait_for_line

from pytest_netns import NetNS

pytest.importorskip("dns", reason="dnspython is not installed: pip install dnspython")
import dns.message
import dns.query
import dns.rcode

# An ordinary user's PATH may lack the folders of system programs.
DNSMASQ = shutil.which("dnsmasq") or shutil.which("dnsmasq", path="/usr/sbin:/usr/local/sbin")

pytestmark = pytest.mark.skipif(DNSMASQ is None, reason="dnsmasq is not installed: apt-get install dnsmasq-base")


@pytest.fixture
def dnsmasq(netns_pair: tuple[NetNS, NetNS]) -> subprocess.Popen[str]:
    """A server in ``right`` that knows one name; it ends with the namespace."""
    _, right = netns_pair
    server = right.popen(
        [
            str(DNSMASQ),
            "--no-daemon",
            # It is to know what is given here, and nothing from the files of the machine.
            "--conf-file=/dev/null",
            "--no-hosts",
            "--no-resolv",
            "--local=/example/",
            "--host-record=www.example,192.0.2.80,2001:db8::80",
            "--log-queries",
            "--log-facility=-",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_for_line(server, "started")
    return server


@pytest.mark.parametrize(
    ("family", "server", "client", "rdtype", "address"),
    [
        (AF_INET, "192.0.2.2", "192.0.2.1", "A", "192.0.2.80"),
        (AF_INET6, "2001:db8::2", "2001:db8::1", "AAAA", "2001:db8::80"),
    ],
    ids=["IPv4", "IPv6"],
)
def test_answers(
    netns_pair: tuple[NetNS, NetNS],
    dnsmasq: subprocess.Popen[str],
    family: AddressFamily,
    server: str,
    client: str,
    rdtype: str,
    address: str,
) -> None:
    left, _ = netns_pair
    sock = left.socket(family, SOCK_DGRAM)
    sock.setblocking(False)  # dnspython asks for that

    answer = dns.query.udp(dns.message.make_query("www.example", rdtype), server, timeout=10, sock=sock)

    assert [str(record) for rrset in answer.answer for record in rrset] == [address]
    logged = wait_for_line(dnsmasq, f"query[{rdtype}]")
    assert logged.endswith(f"www.example from {client}")
    show(answer.answer[0], logged)


@pytest.mark.usefixtures("dnsmasq")
def test_a_name_that_does_not_exist(netns_pair: tuple[NetNS, NetNS]) -> None:
    left, _ = netns_pair
    sock = left.socket(AF_INET, SOCK_DGRAM)
    sock.setblocking(False)

    answer = dns.query.udp(dns.message.make_query("nobody.example", "A"), "192.0.2.2", timeout=10, sock=sock)

    assert answer.rcode() == dns.rcode.NXDOMAIN
    show(f"nobody.example: {dns.rcode.to_text(answer.rcode())}")
