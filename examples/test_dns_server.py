"""A DNS server on its real port 53 in one namespace, asked from another one, over IPv4 and IPv6.

    left                                  right
    client                                dns_server.py, port 53
    192.0.2.1     eth0 ---------- eth0    192.0.2.2
    2001:db8::1                           2001:db8::2

The server is an ordinary program, ``dns_server.py``. The client is dnspython. It runs in the test process and knows
nothing of namespaces: the test passes it the socket to use, which belongs to ``left``.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from socket import AF_INET, AF_INET6, SOCK_DGRAM, AddressFamily

import pytest
from example_tools import show, wait_for_line

from pytest_netns import NetNS

pytest.importorskip("dns", reason="dnspython is not installed: pip install dnspython")
import dns.message
import dns.query
import dns.rcode

ZONE = """
@    3600 IN SOA  ns hostmaster 1 3600 600 86400 60
@    3600 IN NS   ns
ns   3600 IN A    192.0.2.2
www  3600 IN A    192.0.2.80
www  3600 IN AAAA 2001:db8::80
"""


@pytest.fixture
def dns_server(netns_pair: tuple[NetNS, NetNS], tmp_path: Path) -> subprocess.Popen[str]:
    """A server in ``right`` for the zone ``example``; the namespace terminates it."""
    _, right = netns_pair
    zone = tmp_path / "zone"
    zone.write_text(ZONE)
    program = Path(__file__).with_name("dns_server.py")
    server = right.popen(
        [sys.executable, str(program), str(zone)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    wait_for_line(server, "ready")
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
    dns_server: subprocess.Popen[str],
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
    logged = wait_for_line(dns_server, f"query for {rdtype}")
    assert logged.endswith(f"www.example. from {client}")
    show(f"answer: {answer.answer[0]}", f"server: {logged}")


@pytest.mark.usefixtures("dns_server")
def test_a_name_that_does_not_exist(netns_pair: tuple[NetNS, NetNS]) -> None:
    left, _ = netns_pair
    sock = left.socket(AF_INET, SOCK_DGRAM)
    sock.setblocking(False)

    answer = dns.query.udp(dns.message.make_query("nobody.example", "A"), "192.0.2.2", timeout=10, sock=sock)

    assert answer.rcode() == dns.rcode.NXDOMAIN
    show(f"nobody.example: {dns.rcode.to_text(answer.rcode())}")
