"""What a snapshot of a namespace has, and what it says has changed."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import subprocess
import sys

import pytest

from pytest_netns import MakeNetNS, NetNS, NetNSClosedError, NetNSPair, Snapshot
from pytest_netns._linux import syscalls
from pytest_netns._netns import nftables
from pytest_netns._netns.factory import Session

pytestmark = pytest.mark.core

needs_nft = pytest.mark.skipif(
    not any(os.access(f"{folder}/nft", os.X_OK) for folder in nftables.FOLDERS.split(":")), reason="there is no nft(8)"
)


def test_of_a_new_namespace(netns: NetNS) -> None:
    found = netns.snapshot()
    assert [link.name for link in found.links] == ["lo"]
    assert "127.0.0.1/8 on lo" in map(str, found.addresses)
    assert not found.neighbours + found.sockets + found.nft_rules + found.qdiscs
    assert not found.sysctls
    assert not any(found.counters.values())
    assert {rule.priority for rule in found.rules} == {0, 32766, 32767}


def test_two_of_the_same_do_not_differ(netns_pair: NetNSPair) -> None:
    before = netns_pair.left.snapshot()
    changes = netns_pair.left.snapshot().since(before)
    assert not list(changes)


def test_what_a_host_of_a_network_has(netns_pair: NetNSPair) -> None:
    left, right = netns_pair
    left.reach(right.ip)
    found = left.snapshot()
    (link,) = [one for one in found.links if one.name == "eth0"]
    assert (link.kind, link.mac, link.is_up, link.has_carrier) == ("veth", left.interfaces["eth0"].mac, True, True)
    assert {one.address for one in found.addresses} >= {left.ip, left.ip6}
    assert "192.0.2.0/24 dev eth0 src 192.0.2.1" in map(str, found.routes)
    (neighbour,) = [one for one in found.neighbours if one.address == right.ip]
    assert (neighbour.interface, neighbour.mac) == ("eth0", right.interfaces["eth0"].mac)
    assert 0 <= neighbour.age < 60
    assert found.counters["IcmpInEchoReps"] == 1


def test_sockets_and_who_has_them(netns: NetNS) -> None:
    listening = netns.create_server(("127.0.0.1", 80))
    client = netns.create_connection(("127.0.0.1", 80))
    client.sendall(b"hello")
    code = "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('127.0.0.1', 53)); print(flush=True)"
    code += "; input()"
    program = netns.popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert program.stdout is not None
    program.stdout.readline()
    found = {(one.kind, one.state, one.local): one for one in netns.snapshot().sockets}
    listener = found["tcp", "LISTEN", "127.0.0.1:80"]
    assert (listener.received, listener.holders) == (1, ("this process",))
    port = client.getsockname()[1]
    assert found["tcp", "ESTAB", f"127.0.0.1:{port}"].bytes_out == 5
    waiting = found["tcp", "ESTAB", "127.0.0.1:80"]
    assert (waiting.received, waiting.inode, waiting.peer_port, waiting.holders) == (5, 0, port, ())
    (holder,) = found["udp", "UNCONN", "127.0.0.1:53"].holders
    assert holder.endswith(f"(pid {program.pid})")
    listening.close()


def test_the_end_of_a_connection_is_no_byte(netns_pair: NetNSPair) -> None:
    """The kernel counts a FIN that was not read, and a SYN or a FIN that was not acknowledged."""
    left, right = netns_pair
    server = left.create_server((left.ip, 80))
    client = right.create_connection((left.ip, 80))
    accepted, _ = server.accept()
    accepted.close()
    client.settimeout(10)
    assert client.recv(1, socket.MSG_PEEK) == b""  # the FIN has come
    waiting = [sock for sock in right.snapshot().sockets if sock.state == "CLOSE-WAIT"]
    assert [sock.received for sock in waiting] == [0]
    assert client.recv(1) == b""
    assert [sock.received for sock in right.snapshot().sockets] == [0]
    left.interfaces["eth0"].down()
    begun = right.socket()
    begun.setblocking(False)
    assert begun.connect_ex((left.ip, 80)) == errno.EINPROGRESS
    client.close()
    unsent = {sock.state: sock.unsent for sock in right.snapshot().sockets}
    assert unsent.pop("SYN-SENT") == 0
    assert set(unsent.values()) == {0}


def test_a_socket_of_ipv6_that_takes_ipv4_too(netns: NetNS) -> None:
    both = netns.create_server(("::", 80), family=socket.AF_INET6, dualstack_ipv6=True)
    only = netns.create_server(("::", 81), family=socket.AF_INET6)
    client = netns.create_connection(("127.0.0.1", 80))
    found = netns.snapshot().sockets
    assert {one.port: one.takes_ipv4 for one in found if one.state == "LISTEN"} == {80: True, 81: False}
    assert ("127.0.0.1", 80) in {(one.address, one.port) for one in found if one.state == "ESTAB"}
    for sock in (both, only, client):
        sock.close()


@pytest.mark.parametrize(
    ("key", "value", "others"),
    [("net.ipv4.ip_forward", 1, []), ("net.ipv4.conf.lo.rp_filter", 1, []), ("net.core.somaxconn", 7, [])],
)
def test_sysctls_that_are_not_as_in_a_new_namespace(netns: NetNS, key: str, value: int, others: list[str]) -> None:
    before = netns.snapshot()
    netns.sysctl[key] = value
    found = netns.snapshot()
    assert dict(found.sysctls) == {key: str(value)}
    (change,) = found.since(before)
    assert str(change) == f"~ {key} = {value}   (was: {before.value_of(key) and f'{key} = {before.value_of(key)}'})"


def test_what_has_changed(netns_pair: NetNSPair) -> None:
    left = netns_pair.left
    before = left.snapshot()
    eth0 = left.interfaces["eth0"].index
    left.ipr.route("add", dst="198.51.100.0/24", gateway="192.0.2.2")
    left.ipr.addr("add", index=eth0, address="192.0.2.99", prefixlen=24)
    left.ipr.addr("del", index=eth0, address="2001:db8::1", prefixlen=64)
    left.ipr.link("set", index=eth0, mtu=1400)
    left.ipr.link("add", ifname="br0", kind="bridge")
    left.ipr.rule("add", priority=7, table=5)
    with left.socket(type=socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 5000))
        sock.sendto(b"hello", ("127.0.0.1", 9))
        after = left.snapshot()
    changes = after.since(before)
    kinds = {(one.part, str(one)[0]) for one in changes}
    assert kinds >= {("links", "~"), ("links", "+"), ("addresses", "+"), ("addresses", "-"), ("routes", "+")}
    assert kinds >= {("rules", "+"), ("sockets", "+")}
    lines = str(changes).splitlines()
    assert lines[0] == "namespace 'left'"
    assert "  address - 2001:db8::1/64 on eth0" in lines
    assert "  address + 192.0.2.99/24 on eth0" in lines
    assert "  rule + 7: from all lookup 5" in lines
    assert changes.counters["UdpNoPorts"] == 1


def test_a_link_that_was_asked_in_vain(netns_pair: NetNSPair) -> None:
    with netns_pair.left.socket(type=socket.SOCK_DGRAM) as sock:
        sock.sendto(b"hello", ("192.0.2.77", 9))
        states = {one.address: one.state for one in netns_pair.left.snapshot().neighbours}
    assert states["192.0.2.77"] in ("INCOMPLETE", "FAILED")


@needs_nft
def test_rules_of_nftables_with_their_counters(netns: NetNS) -> None:
    netns.nft("""
        table inet filter {
            chain come {
                type filter hook input priority 0; policy drop;
                iifname "lo" accept
                udp dport 9 counter drop
            }
        }""")
    found = netns.snapshot().nft_rules
    assert [str(one) for one in found] == [
        'inet filter come: iifname "lo" accept',
        "inet filter come: udp dport 9 drop (packets: 0)",
        "inet filter come: policy drop",
    ]
    assert {(one.hook, one.verdict) for one in found} == {("input", "accept"), ("input", "drop")}


RULES = [
    "tcp dport 80 accept",
    "tcp sport 80 tcp dport 443 drop",
    "tcp dport != 80 drop",
    "udp dport 53 ip saddr 10.0.0.1 accept",
    "ip saddr 10.0.0.0/8 drop",
    "ip daddr 10.1.0.0/16 drop",
    "ip daddr 10.1.128.0/20 drop",
    "ip6 saddr 2001:db8::/32 drop",
    "ip6 daddr 2001:db8::1 drop",
    "meta l4proto icmp drop",
    'iifname "eth0" oifname "eth1" accept',
    "ct state established,related accept",
    "ct state new drop",
    "reject with tcp reset",
    "jump other",
]


@needs_nft
@pytest.mark.parametrize("rule", RULES)
def test_rules_read_as_they_were_written(netns: NetNS, rule: str) -> None:
    netns.nft(f"""
        table inet filter {{
            chain other {{
            }}
            chain come {{
                type filter hook input priority 0;
                {rule}
            }}
        }}""")
    (found,) = netns.snapshot().nft_rules
    families = ("meta nfproto ipv4 ", "meta nfproto ipv6 ", "meta l4proto tcp ")  # which nft leaves out where it can
    text = found.text
    for family in families:
        text = text.replace(family, "")
    assert text == rule


def test_its_text(netns: NetNS) -> None:
    netns.ipr.link("add", ifname="br0", kind="bridge", address="02:00:00:00:00:99")
    listening = netns.create_server(("127.0.0.1", 80))
    lines = str(netns.snapshot()).splitlines()
    assert lines[0] == "namespace 'netns'"
    assert "    br0 bridge down mtu 1500 02:00:00:00:00:99" in lines
    assert lines[lines.index("  sockets") + 1] == "    tcp 127.0.0.1:80 LISTEN [this process]"
    listening.close()


def test_it_goes_on_to_be_valid(make_netns: MakeNetNS) -> None:
    ns = make_netns()
    found = ns.snapshot()
    ns.close()
    assert [link.name for link in found.links] == ["lo"]
    with pytest.raises(NetNSClosedError):
        ns.snapshot()


def test_the_resident_child_is_killed() -> None:
    with contextlib.closing(Session()) as session:
        ns = session.namespace()
        before = ns.snapshot()
        for pid in session.pids():
            os.kill(pid, signal.SIGKILL)
        assert not list(ns.snapshot().since(before))


def test_the_resident_child_goes_on(netns: NetNS) -> None:
    pid = netns._modes.resident.pid
    for _ in range(2):
        netns.snapshot()
        netns.run(["true"], check=True)
    assert netns._modes.resident.pid == pid


def test_nothing_is_left_open(netns: NetNS) -> None:
    before = os.listdir("/proc/self/fd")
    netns.snapshot()
    assert os.listdir("/proc/self/fd") == before


def test_without_most_sysctls(netns: NetNS) -> None:
    """As reports take it of many namespaces."""
    netns.sysctl["net.ipv4.ip_forward"] = 1
    before = netns.snapshot()
    with netns._observed._snapshots.look(netns._handle, syscalls.monotonic() + 10) as look:
        found = Snapshot(look.take(with_sysctls=False))
    assert (found.value_of("net.ipv4.ip_forward"), found.value_of("net.core.somaxconn")) == ("1", None)
    assert not list(found.since(before))
