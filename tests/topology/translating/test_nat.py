"""NATs: how each kind maps and filters, by the terms of RFC 4787."""

from __future__ import annotations

import errno
import itertools
import socket
import struct
import subprocess
from collections.abc import Iterable
from typing import NamedTuple, TypeAlias, get_args

import pytest

from pytest_netns import Host, Nat, NetNSError, NetNSUnsupportedError, Topology, TopologyError
from pytest_netns._netns import nftables
from pytest_netns._topology.described import NatKind
from pytest_netns._topology.making import netfilter
from pytest_netns._topology.text import words
from pytest_netns._topology.translating import nat
from tests.support.helpers import links_of_networks
from tests.topology.naming.test_topology_names import looked_up

Endpoint: TypeAlias = "tuple[str, int]"

pytestmark = [pytest.mark.core, pytest.mark.netns_requires("nat")]

TIMEOUT = 60.0  # seconds
NETWORK = """
    lan, internet [switch]
    home [nat {}]
    {{a b}} -- lan -- home -- internet -- {{s t}}
"""
PUNCHING = """
    internet [switch]
    left [nat kind={}]
    right [nat kind={}]
    a -- left -- internet
    b -- right -- internet
    stun -- internet
"""
KINDS = ["full-cone", "restricted", "port-restricted", "symmetric", "cgnat", "none"]
TRANSLATING = KINDS[:-1]
INDEPENDENT = ["full-cone", "restricted", "port-restricted", "cgnat"]


class Peer(NamedTuple):
    """A UDP socket of a host."""

    sock: socket.socket
    endpoint: Endpoint

    def send(self, text: bytes, to: Endpoint) -> None:
        self.sock.sendto(text, to)

    def receive(self) -> tuple[bytes, Endpoint]:
        return self.sock.recvfrom(100)


def peer_at(host: Host, port: int = 5000) -> Peer:
    sock = host.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(TIMEOUT)
    sock.bind((host.ip, port))
    return Peer(sock, (host.ip, port))


def make(net: Topology, kind: str) -> Nat:
    net.add(NETWORK.format(f"kind={kind}"))
    home = net["home"]
    assert isinstance(home, Nat)
    return home


def outside_of(inside: Peer, *others: Peer) -> Endpoint:
    """Return how others see an inside peer that sends to them; the last of them, if they differ."""
    for other in others:
        inside.send(b"to outside", other.endpoint)
        text, seen = other.receive()
        assert text == b"to outside"
    return seen


def arrived(peer: Peer, control: Peer) -> list[tuple[bytes, Endpoint]]:
    """Return what has come to a peer, up to what is sent to it now, which nothing keeps from arriving."""
    control.send(b"control", peer.endpoint)
    return list(itertools.takewhile(lambda one: one[0] != b"control", iter(peer.receive, None)))


def texts(received: Iterable[tuple[bytes, Endpoint]]) -> set[str]:
    return {text.decode() for text, _ in received}


@pytest.mark.parametrize("kind", KINDS)
def test_mapping(netns_topology: Topology, kind: str) -> None:
    net, home = netns_topology, make(netns_topology, kind)
    inside = peer_at(net["a"])
    seen = [outside_of(inside, peer_at(net[name], port)) for name in "st" for port in (1000, 1001, 1002)]
    if kind == "symmetric":
        # Ports are random: that three of them are the same happens once in a billion runs.
        assert len(set(seen[:3])) > 1, "the mapping depends on the port"
        assert len(set(seen)) > 2, "the mapping depends on the address"
    else:
        assert len(set(seen)) == 1, "the mapping is independent of the endpoint"
    assert {address for address, _ in seen} == {net["a"].ip if kind == "none" else str(home.outside.addresses[0].ip)}


@pytest.mark.parametrize(
    ("kind", "heard"),
    [
        ("full-cone", {"same", "other port", "other address"}),
        ("restricted", {"same", "other port"}),
        ("port-restricted", {"same"}),
        ("symmetric", {"same"}),
        ("cgnat", {"same", "other port", "other address"}),
        ("none", {"same"}),
    ],
)
def test_filtering(netns_topology: Topology, kind: str, heard: set[str]) -> None:
    net, home = netns_topology, make(netns_topology, kind)
    inside, known = peer_at(net["a"]), peer_at(net["s"], 1000)
    seen = outside_of(inside, known)
    peer_at(net["t"], 1000).send(b"other address", seen)
    peer_at(net["s"], 1001).send(b"other port", seen)
    known.send(b"same", seen)
    received = arrived(inside, peer_at(home))
    assert texts(received) == heard
    assert (b"same", known.endpoint) in received, "the source is not translated"


@pytest.mark.parametrize("kind", TRANSLATING)
def test_nothing_comes_in_before_the_inside_has_sent(netns_topology: Topology, kind: str) -> None:
    net, home = netns_topology, make(netns_topology, kind)
    inside, other, known = peer_at(net["a"]), peer_at(net["b"]), peer_at(net["s"], 1000)
    outside = str(home.outside.addresses[0].ip)
    known.send(b"unasked", (outside, 5000))
    with pytest.raises(OSError, match="Network is unreachable"):
        known.send(b"unasked", inside.endpoint)
    net["s"].ipr.route("add", dst="10.0.1.0/24", gateway=outside)
    known.send(b"unasked", inside.endpoint)
    assert arrived(inside, peer_at(home)) == []
    # What was dropped has left no trace that would take the port away.
    assert kind in ("symmetric", "cgnat") or outside_of(inside, known) == (outside, 5000)
    assert outside_of(other, known) != outside_of(inside, known)


@pytest.mark.parametrize("kind", INDEPENDENT)
def test_hosts_that_use_the_same_port_have_mappings_of_their_own(netns_topology: Topology, kind: str) -> None:
    net = netns_topology
    net.add(NETWORK.format(f"kind={kind}"))
    names = [f"h{number}" for number in range(20)]
    net.lan("lan", *names)
    s, t = (peer_at(net[name], 1000) for name in "st")
    insides = {outside_of(inside, t, s): inside for inside in (peer_at(net[name]) for name in names)}
    assert len(insides) == len(names)
    home = peer_at(net["home"])
    for endpoint, inside in insides.items():
        assert outside_of(inside, t) == endpoint
        s.send(b"answer", endpoint)
        assert texts(arrived(inside, home)) == {"answer"}


def test_a_carrier_gives_each_host_a_block_of_ports(netns_topology: Topology) -> None:
    net, _ = netns_topology, make(netns_topology, "cgnat")
    s = peer_at(net["s"], 1000)
    ports = {name: [outside_of(peer_at(net[name], 5000 + 97 * n), s)[1] for n in range(30)] for name in "ab"}
    assert {name: {port // 4096 for port in some} for name, some in ports.items()} == {"a": {1}, "b": {2}}
    assert len({*ports["a"], *ports["b"]}) == 60


# Who in the inside sends to the outside endpoint of another inside host, and is heard.
TO_NAT = {"nothing": None, "to another port": 4999, "to the peer": 0}


@pytest.mark.parametrize(
    ("kind", "needed"),
    [
        ("full-cone", "nothing"),
        ("restricted", "to another port"),
        ("port-restricted", "to the peer"),
        ("cgnat", "nothing"),
        ("symmetric", None),
    ],
)
def test_hairpinning(netns_topology: Topology, kind: str, needed: str | None) -> None:
    net, home = netns_topology, make(netns_topology, kind)
    a, b, s, control = peer_at(net["a"]), peer_at(net["b"]), peer_at(net["s"], 1000), peer_at(home)
    outside_a, outside_b = outside_of(a, s), outside_of(b, s)
    may_pass = False
    for sent, port in TO_NAT.items():
        if port is not None:
            b.send(b"opens", (outside_a[0], port or outside_a[1]))
        may_pass |= sent == needed
        a.send(b"hairpin", outside_b)
        received = [one for one in arrived(b, control) if one[0] == b"hairpin"]
        assert received == ([(b"hairpin", outside_a)] if may_pass else []), sent


@pytest.mark.parametrize("kind", KINDS)
def test_tcp(netns_topology: Topology, kind: str) -> None:
    net, home = netns_topology, make(netns_topology, kind)
    with net["s"].create_server((net["s"].ip, 80)) as server:
        client = net["a"].create_connection(server.getsockname(), timeout=TIMEOUT)
        accepted, seen = server.accept()
        assert seen[0] == (net["a"].ip if kind == "none" else str(home.outside.addresses[0].ip))
        with client, accepted:
            accepted.sendall(b"hello")
            assert client.recv(10) == b"hello"


def tcp_at(host: Host, port: int = 5000) -> socket.socket:
    """Return a TCP socket that is bound, and shares its port."""
    sock = host.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.settimeout(TIMEOUT)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((host.ip, port))
    return sock


@pytest.mark.parametrize("kind", ["full-cone", "cgnat"])
def test_a_tcp_server_inside(netns_topology: Topology, kind: str) -> None:
    net, _ = netns_topology, make(netns_topology, kind)
    with net["s"].create_server((net["s"].ip, 80)) as known, tcp_at(net["a"]) as client, tcp_at(net["a"]) as server:
        client.connect(known.getsockname())
        accepted, seen = known.accept()
        server.listen()
        net["t"].create_connection(seen, timeout=TIMEOUT).close()
        again, source = server.accept()
        assert source[0] == net["t"].ip
        again.close()
        accepted.close()


@pytest.mark.parametrize("kind", ["port-restricted", "none"])
def test_tcp_hole_punching(netns_topology: Topology, kind: str) -> None:
    """Both connect at once; what is dropped of the one opens the way for the other."""
    net = netns_topology
    net.add(PUNCHING.format(kind, kind))
    with net["stun"].create_server((net["stun"].ip, 80)) as stun:
        endpoints = []
        for name in "ab":
            with tcp_at(net[name]) as to_stun:
                to_stun.connect(stun.getsockname())
                accepted, seen = stun.accept()
                endpoints.append(seen)
                accepted.close()
    with tcp_at(net["a"]) as a, tcp_at(net["b"]) as b:
        a.setblocking(False)
        assert a.connect_ex(endpoints[1]) == errno.EINPROGRESS
        b.connect(endpoints[0])
        a.settimeout(TIMEOUT)
        b.sendall(b"hello")
        assert a.recv(10) == b"hello"


@pytest.mark.parametrize("kind", [*INDEPENDENT, "none"])
def test_a_tcp_connection_outlives_that_a_nat_forgets(netns_topology: Topology, kind: str) -> None:
    net, home = netns_topology, make(netns_topology, kind)
    with net["s"].create_server((net["s"].ip, 80)) as server:
        client = net["a"].create_connection(server.getsockname(), timeout=TIMEOUT)
        accepted, _ = server.accept()
        with client, accepted:
            accepted.settimeout(TIMEOUT)
            home.forget()
            client.sendall(b"on")
            assert accepted.recv(10) == b"on"


@pytest.mark.parametrize("kind", KINDS)
def test_errors_of_icmp_come_back(netns_topology: Topology, kind: str) -> None:
    net, _ = netns_topology, make(netns_topology, kind)
    inside = peer_at(net["a"])
    inside.sock.connect((net["s"].ip, 9))
    inside.sock.send(b"to nobody")
    with pytest.raises(ConnectionRefusedError):
        inside.sock.recv(100)


@pytest.mark.parametrize("kind", KINDS)
def test_ipv6_is_routed_and_filtered(netns_topology: Topology, kind: str) -> None:
    net, home = netns_topology, make(netns_topology, kind)
    inside, outside, other = (net[name].socket(socket.AF_INET6, socket.SOCK_DGRAM) for name in ("a", "s", "t"))
    for name, sock in (("a", inside), ("s", outside)):
        sock.settimeout(TIMEOUT)
        sock.bind((net[name].ip6, 5000))
    inside.sendto(b"asks", (net["s"].ip6, 5000))
    assert outside.recvfrom(100)[1][:2] == (net["a"].ip6, 5000)
    other.sendto(b"unasked", (net["a"].ip6, 5000))
    outside.sendto(b"answers", (net["a"].ip6, 5000))
    home.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b"control", (net["a"].ip6, 5000))
    assert list(itertools.takewhile(lambda text: text != b"control", iter(lambda: inside.recv(100), b""))) == [
        b"answers"
    ]


STRICT = {"port-restricted", "none"}
"""The kinds that let in nobody but who has the port that was sent to, which no peer knows of a symmetric NAT."""


@pytest.mark.parametrize(("left", "right"), list(itertools.combinations_with_replacement(KINDS, 2)))
def test_hole_punching(netns_topology: Topology, left: str, right: str) -> None:
    net = netns_topology
    net.add(PUNCHING.format(left, right))
    a, b, stun = peer_at(net["a"]), peer_at(net["b"], 6000), peer_at(net["stun"])
    control = {id(a): peer_at(net["left"]), id(b): peer_at(net["right"])}
    to = {id(a): outside_of(b, stun), id(b): outside_of(a, stun)}
    heard: set[int] = set()
    for _ in range(3):
        for peer in (a, b):
            peer.send(b"punch", to[id(peer)])
        for peer in (a, b):
            for _, source in arrived(peer, control[id(peer)]):
                heard.add(id(peer))
                to[id(peer)] = source
    fails = "symmetric" in (left, right) and {left, right} <= {"symmetric", *STRICT}
    assert heard == (set() if fails else {id(a), id(b)})


@pytest.mark.parametrize("kind", KINDS)
def test_a_nat_forgets(netns_topology: Topology, kind: str) -> None:
    net, home = netns_topology, make(netns_topology, kind)
    inside, s, control = peer_at(net["a"]), peer_at(net["s"], 1000), peer_at(home)
    seen = outside_of(inside, s)
    s.send(b"before", seen)
    assert texts(arrived(inside, control)) == {"before"}
    home.forget()
    s.send(b"meanwhile", seen)
    assert arrived(inside, control) == []
    again = outside_of(inside, s)
    assert kind == "symmetric" or again == seen
    s.send(b"after", again)
    assert texts(arrived(inside, control)) == {"after"}


@pytest.mark.parametrize("kind", TRANSLATING)
def test_nothing_leaves_without_translation(netns_topology: Topology, kind: str) -> None:
    """The kernel takes the end of a connection that it does not know for a stray packet, and translates none."""
    net, home = netns_topology, make(netns_topology, kind)
    with (
        net["s"].create_server((net["s"].ip, 80)) as server,
        net["s"].socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as segments,
    ):
        client = net["a"].create_connection(server.getsockname(), timeout=TIMEOUT)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        home.forget()
        client.close()  # by a reset
        net["a"].create_connection(server.getsockname(), timeout=TIMEOUT).close()
        segments.settimeout(TIMEOUT)
        sources = [segments.recvfrom(100)[1][0] for _ in range(4)]
    assert set(sources) == {str(home.outside.addresses[0].ip)}


@pytest.mark.parametrize("kind", ["full-cone", "cgnat"])
def test_what_hairpins_to_nobody_leaves_no_trace(netns_topology: Topology, kind: str) -> None:
    net, home = netns_topology, make(netns_topology, kind)
    a, b, s = peer_at(net["a"]), peer_at(net["b"]), peer_at(net["s"])
    mapped = outside_of(b, s)
    home.forget()
    a.send(b"to nobody", mapped)
    assert outside_of(b, s) == mapped
    a.send(b"hairpin", mapped)
    assert texts(arrived(b, peer_at(home))) == {"hairpin"}


def test_rules_replace_those_before(netns_topology: Topology) -> None:
    home = make(netns_topology, "port-restricted")

    def tables() -> int:
        return len(
            home.run(
                [nftables.program(), "list", "tables"], stdout=subprocess.PIPE, text=True, check=True
            ).stdout.splitlines()
        )

    before = tables()
    home.rebind()
    home.forget()
    assert tables() == before


@pytest.mark.parametrize("kind", TRANSLATING)
def test_a_nat_that_is_bound_anew(netns_topology: Topology, kind: str) -> None:
    net, home = netns_topology, make(netns_topology, kind)
    inside, s, control = peer_at(net["a"]), peer_at(net["s"], 1000), peer_at(home)
    seen = [outside_of(inside, s)]
    for _ in range(4):
        home.rebind()
        s.send(b"to the old port", seen[-1])
        seen.append(outside_of(inside, s))
        s.send(b"to the new port", seen[-1])
        assert texts(arrived(inside, control)) == {"to the new port"}
    assert all(before != after for before, after in itertools.pairwise(seen))
    assert {address for address, _ in seen} == {str(home.outside.addresses[0].ip)}


@pytest.mark.parametrize("kind", TRANSLATING)
def test_a_nat_takes_another_address(netns_topology: Topology, kind: str) -> None:
    net = netns_topology
    net.add(f"home [nat kind={kind}]\na -- home -- [192.0.2.0/29] -- r -- s")
    home = net["home"]
    assert isinstance(home, Nat)
    inside, s, control = peer_at(net["a"]), peer_at(net["s"], 1000), peer_at(home)
    before = outside_of(inside, s)
    for expected in ("192.0.2.3", "192.0.2.4"):
        home.rebind(address=True)
        assert str(home.outside.addresses[0].ip) == expected
        s.send(b"to the old address", before)
        seen = outside_of(inside, s)
        assert (seen[0], seen != before) == (expected, True)
        s.send(b"to the new address", seen)
        assert texts(arrived(inside, control)) == {"to the new address"}
    assert {"192.0.2.1", "192.0.2.4"} & {*looked_up(net, "s", "home")} == {"192.0.2.4"}
    net["s"].reach("192.0.2.4")
    shown = home.ipr.get_addr(family=socket.AF_INET, index=home.outside.index)
    assert [one.get("address") for one in shown] == ["192.0.2.4"]


@pytest.mark.netns_topology("home [nat 192.0.2.10 192.0.2.20]\na -- home -- [192.0.2.0/24] -- s")
def test_a_nat_of_several_addresses_changes_its_first(netns_topology: Topology) -> None:
    net, home = netns_topology, netns_topology["home"]
    assert isinstance(home, Nat)
    home.rebind(address=True)
    shown = home.ipr.get_addr(family=socket.AF_INET, index=home.outside.index)
    assert [one.get("address") for one in shown] == ["192.0.2.11", "192.0.2.20"]
    assert outside_of(peer_at(net["a"]), peer_at(net["s"]))[0] == "192.0.2.11"


@pytest.mark.netns_topology("home [nat]\na -- home -- [192.0.2.0/30] -- s")
def test_where_no_address_is_free(netns_topology: Topology) -> None:
    home = netns_topology["home"]
    assert isinstance(home, Nat)
    with pytest.raises(TopologyError, match=r"192\.0\.2\.0/30 has no free address for 'home'\ntake a larger network"):
        home.rebind(address=True)


@pytest.mark.netns_topology("home [nat kind=none]\na -- home -- s")
def test_an_address_that_others_have_routes_by(netns_topology: Topology) -> None:
    home = netns_topology["home"]
    assert isinstance(home, Nat)
    with pytest.raises(ValueError, match="'home' has kind=none: others have routes by its address, which stays"):
        home.rebind(address=True)


def test_the_kinds_that_a_type_checker_knows() -> None:
    assert get_args(NatKind) == words.NAT_KINDS


def test_a_nat_behind_that_of_a_carrier(netns_topology: Topology) -> None:
    net = netns_topology
    net.add("isp [nat kind=cgnat]\nhome [nat]\na -- home -- isp -- s")
    inside, s = peer_at(net["a"]), peer_at(net["s"], 1000)
    isp = net["isp"]
    assert isinstance(isp, Nat)
    seen = outside_of(inside, s)
    assert seen[0] == str(isp.outside.addresses[0].ip)
    s.send(b"answer", seen)
    assert inside.receive() == (b"answer", s.endpoint)


def test_a_nat_is_described_step_by_step(netns_topology: Topology) -> None:
    net = netns_topology
    net.nat("home", kind="symmetric", outside="wan")
    net.link("home:wan", "s")
    net.link("home", "a")
    assert "home [nat kind=symmetric outside=wan]" in net.text
    home = net["home"]
    assert isinstance(home, Nat)
    assert home.outside is home.interfaces["wan"]
    assert outside_of(peer_at(net["a"]), peer_at(net["s"]))[0] == str(home.outside.addresses[0].ip)


def test_rules_of_a_test_stand_beside_those_of_the_nat(netns_topology: Topology) -> None:
    """A port that is forwarded is not filtered."""
    net, home = netns_topology, make(netns_topology, "port-restricted")
    inside, s = peer_at(net["a"], 80), peer_at(net["s"])
    chain = f"type nat hook prerouting priority dstnat; udp dport 80 dnat to {net['a'].ip};"
    home.nft(f"table ip mine {{ chain forward {{ {chain} }}; }}")
    s.send(b"in", (str(home.outside.addresses[0].ip), 80))
    assert inside.receive() == (b"in", s.endpoint)


def is_echoed(host: Host, address: str) -> bool:
    """Whether an echo request of ICMP is answered."""
    with host.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
        sock.settimeout(TIMEOUT)
        sock.connect((address, 0))
        sock.send(bytes.fromhex("0800 f7fd 0001 0001"))  # the checksum included
        return sock.recv(100)[20:22] == bytes(2)


@pytest.mark.parametrize("kind", KINDS)
def test_echo_requests(netns_topology: Topology, kind: str) -> None:
    net, home = netns_topology, make(netns_topology, kind)
    assert is_echoed(net["a"], net["s"].ip)
    assert is_echoed(net["s"], str(home.outside.addresses[0].ip))


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_outside_reaches_a_server_of_the_nat_itself(netns_topology: Topology, kind: str) -> None:
    net, home = netns_topology, make(netns_topology, kind)
    server, control = peer_at(home), peer_at(home, 5001)
    at_all = home.socket(socket.AF_INET, socket.SOCK_DGRAM)
    at_all.settimeout(TIMEOUT)
    at_all.bind(("0.0.0.0", 6000))
    outside = (str(home.outside.addresses[0].ip), 6000)
    peer_at(net["s"]).send(b"from outside", outside)
    peer_at(net["a"]).send(b"from inside", server.endpoint)
    assert texts(arrived(server, control)) == {"from inside"}
    assert arrived(Peer(at_all, outside), control) == []


# What is missing


def test_without_nft_nothing_is_made(netns_topology: Topology, monkeypatch: pytest.MonkeyPatch) -> None:
    netns_topology.add("home [nat]\na -- home -- s")
    monkeypatch.setenv("PATH", "/no/such/folder")
    monkeypatch.setattr(nftables, "FOLDERS", "/no/such/folder")
    with pytest.raises(NetNSUnsupportedError, match=r"nft\(8\) is missing, .* \(apt-get install nftables\)$"):
        netns_topology.wait_ready()
    assert netns_topology._hosts == {}


def test_nft_is_found_where_an_ordinary_user_has_no_path_to_it(
    netns_topology: Topology, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert nftables.program().endswith("/nft")
    make(netns_topology, "cgnat")


def test_a_kernel_that_does_not_take_the_rules(netns_topology: Topology, monkeypatch: pytest.MonkeyPatch) -> None:
    before = links_of_networks()
    monkeypatch.setattr(nat, "rulesets", lambda *_, **__: ["table ip one\nadd rule ip two three accept\n"])
    netns_topology.add("home [nat]\na -- home -- s")
    said = r"(?s)namespace 'home': nft does not take the ruleset.*No such file.*\nload the modules \(modprobe -a "
    with pytest.raises(NetNSUnsupportedError, match=said):
        netns_topology.wait_ready()
    assert links_of_networks() == before


def test_a_kernel_that_forgets_nothing(netns_topology: Topology, monkeypatch: pytest.MonkeyPatch) -> None:
    home = make(netns_topology, "symmetric")
    monkeypatch.setattr(netfilter, "CONNECTIONS_END", 1 << 8 | 99)
    with pytest.raises(NetNSError, match=r"'home': the kernel forgets no connections: EINVAL .*; load the modules"):
        home.forget()


def test_a_network_that_is_reset_has_its_nat_as_it_was(netns_topology: Topology) -> None:
    home = make(netns_topology, "port-restricted")
    a, s = netns_topology["a"], netns_topology["s"]
    before = home.outside.addresses[0]
    home.rebind(address=True)
    home.nft("flush ruleset")
    netns_topology.reset()
    assert home.outside.addresses[0] == before
    inside, outside = peer_at(a), peer_at(s)
    inside.send(b"out", outside.endpoint)
    data, (address, _) = outside.receive()
    assert (data, address) == (b"out", str(before.ip))
