"""A DNS server for tests: its answers, errors and silence, over UDP and TCP."""

from __future__ import annotations

import errno
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("dns", reason="dnspython is not installed")
import dns.exception
import dns.flags
import dns.message
import dns.opcode
import dns.query
import dns.rcode

from pytest_netns import MakeNetNS, NetNS, NetNSUnsupportedError
from pytest_netns._netns.names import Names
from pytest_netns._topology.naming.dns import DNSServer, Query
from tests.support.helpers import descriptors, eventually

pytestmark = pytest.mark.core

Pair = tuple[NetNS, NetNS]
SERVER = {4: "192.0.2.2", 6: "2001:db8::2"}
LONG = 60.0  # seconds: how long a test may hang before it fails; none waits for it


@pytest.fixture
def server(netns_pair: Pair) -> Iterator[DNSServer]:
    with DNSServer(netns_pair[1]) as server:
        yield server


def ask(ns: NetNS, name: str, type: str = "A", *, tcp: bool = False, address: str = SERVER[4], **options: Any) -> Any:
    """Return the answer of the server, as ``timeout=`` seconds allow."""
    query = dns.message.make_query(name, type, payload=options.pop("payload", None))
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    timeout = options.pop("timeout", LONG)
    if tcp:
        with ns.create_connection((address, 53), timeout=LONG) as sock:
            sock.setblocking(False)
            return dns.query.tcp(query, address, timeout, sock=sock)
    with ns.socket(family, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        return dns.query.udp(query, address, timeout, sock=sock, **options)


def data(answer: Any) -> list[str]:
    return [record.to_text() for records in answer.answer for record in records]


@pytest.mark.parametrize("tcp", [False, True])
@pytest.mark.parametrize("family", [4, 6])
def test_it_answers(netns_pair: Pair, server: DNSServer, tcp: bool, family: int) -> None:
    server.answer("www.example", "A", "192.0.2.80", "192.0.2.81", ttl=5)
    answer = ask(netns_pair[0], "WWW.example.", tcp=tcp, address=SERVER[family])
    assert data(answer) == ["192.0.2.80", "192.0.2.81"]
    assert answer.answer[0].ttl == 5
    assert answer.flags & dns.flags.AA
    client = "192.0.2.1" if family == 4 else "2001:db8::1"
    assert server.queries == [Query("WWW.example", "A", "tcp" if tcp else "udp", client)]


def test_a_name_that_it_does_not_know_does_not_exist(netns_pair: Pair, server: DNSServer) -> None:
    server.answer("www.example", "A", "192.0.2.80")
    server.answer("empty.example", "A")
    assert ask(netns_pair[0], "other.example").rcode() == dns.rcode.NXDOMAIN
    for name, kind in (("www.example", "AAAA"), ("empty.example", "A")):
        answer = ask(netns_pair[0], name, kind)
        assert (answer.rcode(), data(answer)) == (dns.rcode.NOERROR, [])


def test_the_last_word_on_a_name_counts(netns_pair: Pair, server: DNSServer) -> None:
    left, _ = netns_pair
    server.answer("www.example", "A", "192.0.2.80")
    server.answer("www.example", "TXT", '"kept"')
    server.answer("www.example", "A", "192.0.2.81")
    assert data(ask(left, "www.example", "ANY")) == ["192.0.2.81", '"kept"']
    server.error("www.example")
    assert ask(left, "www.example").rcode() == dns.rcode.SERVFAIL
    server.error("www.example", "REFUSED")
    assert ask(left, "www.example").rcode() == dns.rcode.REFUSED
    server.answer("www.example", "MX", "10 mail.example.")
    assert data(ask(left, "www.example", "MX")) == ["10 mail.example."]
    assert data(ask(left, "www.example")) == []


@pytest.mark.parametrize("tcp", [False, True])
def test_it_is_silent(netns_pair: Pair, server: DNSServer, tcp: bool) -> None:
    server.silent("www.example")
    with pytest.raises(dns.exception.Timeout):
        ask(netns_pair[0], "www.example", tcp=tcp, timeout=0.1)
    eventually(lambda: [query.name for query in server.queries] == ["www.example"], "it has heard the question")
    server.answer("www.example", "A", "192.0.2.80")
    assert data(ask(netns_pair[0], "www.example", tcp=tcp)) == ["192.0.2.80"]


def test_an_alias_is_followed(netns_pair: Pair, server: DNSServer) -> None:
    left, _ = netns_pair
    server.answer("www.example", "CNAME", "host.example.")
    server.answer("host.example", "A", "192.0.2.80")
    server.answer("far.example", "CNAME", "elsewhere.test.")
    server.answer("ring.example", "CNAME", "ring.example.")
    assert data(ask(left, "www.example")) == ["host.example.", "192.0.2.80"]
    assert data(ask(left, "www.example", "CNAME")) == ["host.example."]
    far = ask(left, "far.example")
    assert (far.rcode(), data(far)) == (dns.rcode.NOERROR, ["elsewhere.test."])
    assert set(data(ask(left, "ring.example"))) == {"ring.example."}


def test_an_answer_that_is_too_long_comes_over_tcp(netns_pair: Pair, server: DNSServer) -> None:
    left, _ = netns_pair
    server.answer("www.example", "A", *(f"192.0.2.{number}" for number in range(100)))
    for payload in (None, 1232):
        short = ask(left, "www.example", payload=payload)
        assert (bool(short.flags & dns.flags.TC), data(short)) == (True, [])
    for options in ({"tcp": True}, {"payload": 4096}):
        whole = ask(left, "www.example", **options)
        assert (bool(whole.flags & dns.flags.TC), len(data(whole))) == (False, 100)


def test_several_questions_over_one_connection(netns_pair: Pair, server: DNSServer) -> None:
    for number in (1, 2):
        server.answer(f"www{number}.example", "A", f"192.0.2.{number}")
    wires = [dns.message.make_query(f"www{number}.example", "A").to_wire() for number in (1, 2)]
    stream = b"".join(len(wire).to_bytes(2, "big") + wire for wire in wires)
    with netns_pair[0].create_connection((SERVER[4], 53), timeout=LONG) as sock, sock.makefile("rb") as answers:
        sock.sendall(stream[:1])
        sock.sendall(stream[1:])
        for number in (1, 2):
            answer = dns.message.from_wire(answers.read(int.from_bytes(answers.read(2), "big")))
            assert data(answer) == [f"192.0.2.{number}"]


def test_what_is_no_question_is_no_end(netns_pair: Pair, server: DNSServer) -> None:
    left, _ = netns_pair
    server.answer("www.example", "A", "192.0.2.80")
    query = dns.message.make_query("www.example", "A")
    response = dns.message.make_response(query).to_wire()
    with left.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for garbage in (b"", b"x", query.to_wire()[:-3], response):
            sock.sendto(garbage, (SERVER[4], 53))
    with left.create_connection((SERVER[4], 53), timeout=LONG) as sock:
        sock.sendall(b"\0\5hello" + b"\xff\xff")
    notification = dns.message.make_query("www.example", "A")
    notification.set_opcode(dns.opcode.NOTIFY)
    assert data(ask(left, "www.example")) == ["192.0.2.80"]
    assert server._zone.question(response) is None
    answer = server._zone.respond(notification.to_wire(), None)
    assert answer is not None
    assert dns.message.from_wire(answer).rcode() == dns.rcode.NOTIMP


def test_commands_of_a_network_ask_it(netns_pair: Pair, server: DNSServer) -> None:
    left, _ = netns_pair
    names = Names({"server": tuple(SERVER.values())})
    names.use_servers([SERVER[4]])
    left._set_names(names)
    server.answer("www.example", "A", "192.0.2.80")
    server.error("www.example", "NXDOMAIN")
    for number in (errno.ENOENT, 0):
        done = left.run(["getent", "ahostsv4", "www.example"], stdout=subprocess.PIPE, text=True)
        assert done.returncode == number
        server.answer("www.example", "A", "192.0.2.80")
        server.answer("www.example", "AAAA")
    assert done.stdout.split()[0] == "192.0.2.80"
    assert {query.name for query in server.queries} == {"www.example"}


def test_it_listens_where_it_is_told_to(netns_pair: Pair) -> None:
    left, right = netns_pair
    with DNSServer(right, [SERVER[6]]) as server:
        assert server.addresses == (SERVER[6],)
        server.answer("www.example", "A", "192.0.2.80")
        assert data(ask(left, "www.example", address=SERVER[6])) == ["192.0.2.80"]
        with pytest.raises(ConnectionRefusedError):
            left.create_connection((SERVER[4], 53))
    with DNSServer(right) as server:
        assert {*server.addresses} == {"127.0.0.1", "::1", *SERVER.values()}


def test_it_ends_with_its_namespace(make_netns: MakeNetNS) -> None:
    before, threads = descriptors(), threading.active_count()
    ns = make_netns()
    server = DNSServer(ns)
    client = ns.create_connection(("127.0.0.1", 53))
    eventually(lambda: server._clients, "it has accepted the connection")
    ns.close()
    assert client.fileno() == -1
    server.close()
    assert server._thread.wait(0)
    assert threading.active_count() == threads
    assert {fd: what for fd, what in descriptors().items() if fd not in before} == {}


def test_a_port_that_is_taken_is_an_error(netns: NetNS) -> None:
    with netns.create_server(("127.0.0.1", 53)):
        with pytest.raises(OSError, match="Address already in use") as caught:
            DNSServer(netns)
        assert caught.value.errno == errno.EADDRINUSE
    DNSServer(netns).close()


def test_a_namespace_without_addresses(make_netns: MakeNetNS) -> None:
    with pytest.raises(OSError, match="has no address for a DNS server to listen on; bring lo up"):
        DNSServer(make_netns(lo=False))


def test_without_dnspython_it_says_what_to_install(netns: NetNS, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pytest_netns._topology.naming.zone", raising=False)
    monkeypatch.setitem(sys.modules, "dns", None)
    monkeypatch.setitem(sys.modules, "dns.exception", None)
    with pytest.raises(NetNSUnsupportedError, match=re.escape("pip install 'pytest-netns[dns]'")):
        DNSServer(netns)


@pytest.mark.parametrize(
    ("method", "arguments", "text"),
    [
        ("answer", ("x" * 64, "A", "192.0.2.1"), "is no name of DNS, such as 'www.example'"),
        ("answer", (None, "A", "192.0.2.1"), "None is no name of DNS"),
        ("answer", ("www.example", "AAAAA", "192.0.2.1"), "'AAAAA' is no type of a DNS record; one is A, AAAA"),
        ("answer", ("www.example", 1, "192.0.2.1"), "1 is no type of a DNS record"),
        ("answer", ("www.example", "A", "2001:db8::1"), "are no records of type A, as a zone file has them"),
        ("answer", ("www.example", "A", 1), "are no records of type A"),
        ("error", ("www.example", "BROKEN"), "'BROKEN' is no error of DNS; one is SERVFAIL, REFUSED"),
        ("error", ("www.example", 2), "2 is no error of DNS"),
        ("silent", ("a..b",), "is no name of DNS"),
    ],
)
def test_bad_input(server: DNSServer, method: str, arguments: Any, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        getattr(server, method)(*arguments)


@pytest.mark.parametrize("ttl", [-1, 2**31, 1.5, True])
def test_a_time_that_no_record_can_have(server: DNSServer, ttl: Any) -> None:
    with pytest.raises(ValueError, match="ttl is a number of seconds from 0 to 2147483647"):
        server.answer("www.example", "A", "192.0.2.1", ttl=ttl)
