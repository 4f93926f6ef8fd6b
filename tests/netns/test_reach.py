"""reach and blocked: what is reached, what is blocked, and what cannot be told."""

from __future__ import annotations

import re
import shutil
import socket
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pytest_netns import MakeNetNS, NetNS, NetNSClosedError, NetNSPermissionError
from pytest_netns._netns import nftables
from pytest_netns._netns.names import Names
from pytest_netns._netns.reach import BY

pytestmark = pytest.mark.core

Pair = tuple[NetNS, NetNS]
RIGHT = {4: "192.0.2.2", 6: "2001:db8::2"}
NOBODY = {4: "192.0.2.9", 6: "2001:db8::9"}
NOWHERE = {4: "10.9.9.9", 6: "2001:db9::9"}

needs_nft = pytest.mark.skipif(
    shutil.which("nft", path=f"/usr/bin:{nftables.FOLDERS}") is None,
    reason="there is no nft(8), by which packets are filtered",
)
both_families = pytest.mark.parametrize("family", [4, 6])


def filters(ns: NetNS, hook: str, *rules: str) -> None:
    """Filter packets in a namespace, by nothing but these rules."""
    chain = f"chain x {{\ntype filter hook {hook} priority 0\n" + "\n".join(rules) + "\n}"
    ns.nft(f"flush ruleset\ntable inet x {{\n{chain}\n}}\n")


def link_local(ns: NetNS) -> str:
    (found,) = ns.ipr.get_addr(family=socket.AF_INET6, scope=253)
    return str(found.get("address"))


@pytest.fixture
def routed(make_netns: MakeNetNS) -> tuple[NetNS, NetNS, NetNS]:
    """Return client, router and server, which know their neighbours; the latter has 10.0.2.2 and 2001:db8:2::2."""
    client, router, server = make_netns("client"), make_netns("router"), make_netns("server")
    for number, end, network in ((1, client, 1), (2, server, 2)):
        peer = {"ifname": "eth0", "net_ns_fd": end.fileno()}
        router.ipr.link("add", ifname=f"eth{number}", index=100 + number, kind="veth", peer=peer)
        for ns, name, host in ((router, f"eth{number}", 1), (end, "eth0", 2)):
            (index,) = ns.ipr.link_lookup(ifname=name)
            ns.ipr.addr("add", index=index, address=f"10.0.{network}.{host}", prefixlen=24)
            ns.ipr.addr("add", index=index, address=f"2001:db8:{network}::{host}", prefixlen=64, flags=2)
            ns.ipr.link("set", index=index, state="up")
        end.ipr.route("add", dst="default", gateway=f"10.0.{network}.1")
        end.ipr.route("add", family=socket.AF_INET6, dst="default", gateway=f"2001:db8:{network}::1")
    forward(router, True)
    for end, network in ((client, 1), (server, 2)):  # the kernel tells itself of a link's carrier later
        for gateway in (f"10.0.{network}.1", f"2001:db8:{network}::1"):
            end.reach(gateway, timeout=60)
    return client, router, server


def forward(router: NetNS, on: bool) -> None:
    router.sysctl["net.ipv4.ip_forward"] = on
    router.sysctl["net.ipv6.conf.all.forwarding"] = on


SERVER = {4: "10.0.2.2", 6: "2001:db8:2::2"}


# What is reached


@both_families
def test_an_echo_is_answered(netns_pair: Pair, family: int) -> None:
    left, _ = netns_pair
    assert 0 < left.reach(RIGHT[family]) < 5
    assert left.reach("127.0.0.1" if family == 4 else "::1") < 5
    assert isinstance(left.reach(RIGHT[family], timeout=60), float)


@both_families
def test_a_server_is_connected_to(netns_pair: Pair, family: int) -> None:
    left, right = netns_pair
    with right.create_server((RIGHT[family], 80), family=socket.AF_INET if family == 4 else socket.AF_INET6) as server:
        assert 0 < left.reach(RIGHT[family], 80) < 5
        with server.accept()[0] as accepted:
            assert accepted.recv(1) == b""  # it was closed


def test_a_link_local_address_is_reached_by_its_link(netns_pair: Pair) -> None:
    left, right = netns_pair
    assert left.reach(f"{link_local(right)}%eth0", timeout=60) > 0  # once it is no longer tentative


def test_a_host_is_reached_by_its_name_if_one_address_answers(netns_pair: Pair) -> None:
    left, right = netns_pair
    left._set_names(Names({"server": (RIGHT[4], NOBODY[6]), "none": (NOBODY[4], NOBODY[6])}))
    with right.create_server((RIGHT[4], 80)):
        assert left.reach("server") > 0
        assert left.reach("server", 80) > 0
    with pytest.raises(AssertionError, match="namespace 'left' does not reach none within") as caught:
        left.reach("none", timeout=0.1)
    assert {NOBODY[4], NOBODY[6]} <= set(re.findall(r"echo requests? to (\S+);", str(caught.value)))


def test_what_is_lost_is_sent_again(netns_pair: Pair) -> None:
    left, right = netns_pair
    (index,) = right.ipr.link_lookup(ifname="eth0")
    right.ipr.link("set", index=index, state="down")
    with pytest.raises(AssertionError, match=r"echo requests? to 192.0.2.2; what came back: .*\n.*eth0 has no carrier"):
        left.reach(RIGHT[4], timeout=0.5)
    with ThreadPoolExecutor(1) as pool:
        reached = pool.submit(left.reach, RIGHT[4], timeout=60)
        right.ipr.link("set", index=index, state="up")
        assert reached.result() > 0


@both_families
def test_a_refused_connection_says_that_the_host_was_reached(netns_pair: Pair, family: int) -> None:
    with pytest.raises(AssertionError) as caught:
        netns_pair[0].reach(RIGHT[family], 80, timeout=1000)  # it fails at once
    first, tried, way = str(caught.value).splitlines()
    assert first.startswith(
        f"namespace 'left' reaches the host {RIGHT[family]}, but not its port 80: nobody listens there"
    )
    assert tried == f"  a connection over TCP to {RIGHT[family]}; what came back: a TCP reset from {RIGHT[family]}"
    assert way.startswith("  the route goes directly on eth0 from ")


@both_families
@pytest.mark.parametrize("port", [None, 80])
def test_a_neighbour_that_does_not_answer_is_named(netns_pair: Pair, family: int, port: int | None) -> None:
    with pytest.raises(AssertionError) as caught:
        netns_pair[0].reach(NOBODY[family], port, timeout=0.3)
    last = str(caught.value).splitlines()[-1]
    assert re.search(f"directly on eth0 from .*; its neighbour {NOBODY[family]} is (INCOMPLETE|FAILED)$", last)


@both_families
@pytest.mark.parametrize("port", [None, 80])
def test_a_route_that_lacks_is_said(netns_pair: Pair, family: int, port: int | None) -> None:
    with pytest.raises(AssertionError) as caught:
        netns_pair[0].reach(NOWHERE[family], port, timeout=0.1)
    text = f"there is no route to {NOWHERE[family]}: ENETUNREACH (Network is unreachable)"
    assert str(caught.value).splitlines()[-1].strip() == text


@both_families
def test_a_router_without_a_way_on_is_named(routed: tuple[NetNS, ...], family: int) -> None:
    client, _, _ = routed
    gateway = "10.0.1.1" if family == 4 else "2001:db8:1::1"
    with pytest.raises(AssertionError, match=f"ICMP (network unreachable|no route) .* from {gateway}\n") as caught:
        client.reach(NOWHERE[family], timeout=0.3)
    assert f"through {gateway} on eth0" in str(caught.value)
    assert f"its neighbour {gateway} is REACHABLE" in str(caught.value)


@needs_nft
@both_families
def test_the_last_router_is_named_where_nothing_comes_back(routed: tuple[NetNS, ...], family: int) -> None:
    client, _, server = routed
    assert client.reach(SERVER[family], timeout=60) > 0
    filters(server, "input", "meta l4proto { icmp, tcp } drop", "icmpv6 type echo-request drop")
    gateway = "10.0.1.1" if family == 4 else "2001:db8:1::1"
    with pytest.raises(AssertionError, match="what came back: nothing\n") as caught:
        client.reach(SERVER[family], timeout=0.1)
    assert f"\n  the last router that says it would forward it is {gateway}" in str(caught.value)


def test_a_host_of_a_network_may_know_more(netns_pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    left, _ = netns_pair
    monkeypatch.setattr(left, "_explain", lambda address: [f"on the way to {address}"])
    with pytest.raises(AssertionError, match=f"\n  on the way to {NOWHERE[4]}$"):
        left.reach(NOWHERE[4], timeout=0.1)


# What is blocked


@needs_nft
@both_families
@pytest.mark.parametrize(
    ("rule", "by"),
    [
        pytest.param("drop", "drop", marks=pytest.mark.slow),
        ("reject", "reject"),
        ("reject with icmpx type admin-prohibited", "reject"),
        ("reject with tcp reset", "reset"),
    ],
)
def test_a_port_is_blocked(netns_pair: Pair, family: int, rule: str, by: Any) -> None:
    left, right = netns_pair
    filters(right, "input", f"tcp dport 80 {rule}")
    left.blocked(RIGHT[family], 80, by=by)
    others: list[Any] = [other for other in BY if other != by]
    for other in others:
        with pytest.raises(AssertionError, match=f"port 80 of {RIGHT[family]} is not blocked"):
            left.blocked(RIGHT[family], 80, by=other)
    if by == "reset":
        with pytest.raises(AssertionError, match="which counts with by='reset'"):
            left.blocked(RIGHT[family], 80)
    else:
        left.blocked(RIGHT[family], 80)


@needs_nft
@both_families
@pytest.mark.parametrize("hook", ["input", "output"])
def test_echoes_are_blocked(netns_pair: Pair, family: int, hook: str) -> None:
    """The control is then that the neighbour answers; also where the own filter of the namespace blocks."""
    left, right = netns_pair
    filters(right if hook == "input" else left, hook, "meta l4proto icmp drop", "icmpv6 type echo-request drop")
    left.blocked(RIGHT[family])
    left.blocked(RIGHT[family], by="drop")


@pytest.mark.parametrize("port", [None, 80])
def test_what_answers_is_not_blocked(netns_pair: Pair, port: int | None) -> None:
    left, right = netns_pair
    with right.create_server((RIGHT[4], 80)):
        text = f"{'port 80 of ' if port else ''}192.0.2.2 is not blocked: it answers with"
        with pytest.raises(AssertionError, match=f"namespace 'left': {text}"):
            left.blocked(RIGHT[4], port, timeout=1000)  # it fails at once


@both_families
def test_a_closed_port_is_not_blocked(netns_pair: Pair, family: int) -> None:
    left, _ = netns_pair
    with pytest.raises(AssertionError, match="is not blocked: its port is closed, or a filter resets connections"):
        left.blocked(RIGHT[family], 80)
    left.blocked(RIGHT[family], 80, by="reset")


@both_families
@pytest.mark.parametrize("port", [None, 80])
def test_without_a_route_it_cannot_be_told(netns_pair: Pair, family: int, port: int | None) -> None:
    with pytest.raises(AssertionError, match=f"is blocked cannot be told: there is no route to {NOWHERE[family]}"):
        netns_pair[0].blocked(NOWHERE[family], port)


@pytest.mark.slow
@both_families
@pytest.mark.parametrize("port", [None, 80])
def test_without_the_neighbour_it_cannot_be_told(netns_pair: Pair, family: int, port: int | None) -> None:
    with pytest.raises(AssertionError, match=f"cannot be told: {NOBODY[family]} does not answer on eth0\n"):
        netns_pair[0].blocked(NOBODY[family], port, timeout=0.1)


@needs_nft
@pytest.mark.slow
@both_families
def test_a_filter_of_its_own_does_not_show_that_the_network_is_up(netns_pair: Pair, family: int) -> None:
    left, _ = netns_pair
    filters(left, "output", "tcp dport 80 reject")
    left.blocked(RIGHT[family], 80, by="reject")
    with pytest.raises(AssertionError, match=f"cannot be told: {NOBODY[family]} does not answer on eth0\n"):
        left.blocked(NOBODY[family], 80)


@pytest.mark.parametrize(("whose", "trouble"), [(1, "eth0 has no carrier"), (0, "there is no route to|eth0 is down")])
def test_without_the_link_it_cannot_be_told(netns_pair: Pair, whose: int, trouble: str) -> None:
    ns = netns_pair[whose]
    ns.ipr.link("set", index=ns.ipr.link_lookup(ifname="eth0")[0], state="down")
    with pytest.raises(AssertionError, match=f"is blocked cannot be told: ({trouble})"):
        netns_pair[0].blocked(RIGHT[4], timeout=0.1)


@needs_nft
@both_families
def test_a_filter_that_speaks_like_a_broken_network_is_taken_for_one(netns_pair: Pair, family: int) -> None:
    left, right = netns_pair
    filters(right, "input", "tcp dport 80 reject with icmpx type host-unreachable")
    with pytest.raises(AssertionError, match=r"cannot be told: the network does not get a packet there\n.*unreach"):
        left.blocked(RIGHT[family], 80)


@pytest.mark.parametrize(("kind", "by"), [("blackhole", "drop"), ("prohibit", "reject")])
def test_a_route_that_throws_away_takes_a_control(netns_pair: Pair, kind: str, by: Any) -> None:
    left, right = netns_pair
    left.ipr.route("add", dst="10.9.0.0/16", type=kind)
    with pytest.raises(
        AssertionError, match=f"a route of type {kind} is there for 10.9.9.9, and nothing else is tried"
    ):
        left.blocked(NOWHERE[4], timeout=0.1)
    with right.create_server((RIGHT[4], 80)):
        left.blocked(NOWHERE[4], timeout=0.1, control=(RIGHT[4], 80))
        left.blocked(NOWHERE[4], 80, timeout=0.1, control=RIGHT[6], by=by)
    with pytest.raises(
        AssertionError, match=r"since the control fails too:\nnamespace 'left' reaches the host 192.0.2.2, but"
    ):
        left.blocked(NOWHERE[4], timeout=0.1, control=(RIGHT[4], 80))


@needs_nft
def test_each_address_of_a_name_has_to_be_blocked_that_there_is_a_route_to(netns_pair: Pair) -> None:
    left, right = netns_pair
    left._set_names(Names({"server": (RIGHT[4], RIGHT[6]), "elsewhere": (RIGHT[4], NOWHERE[6]), "no": (NOWHERE[4],)}))
    filters(right, "input", "ip protocol tcp drop")
    left.reach(RIGHT[6], timeout=60)  # and so the reset comes before the time is over
    with pytest.raises(AssertionError, match="port 80 of server is not blocked"):
        left.blocked("server", 80, timeout=1)
    left.blocked("elsewhere", 80, timeout=0.2)
    with pytest.raises(AssertionError, match=r"whether port 80 of no \(10.9.9.9\) is blocked cannot be told"):
        left.blocked("no", 80)


@needs_nft
@pytest.mark.slow
@both_families
def test_a_router_that_drops_blocks(routed: tuple[NetNS, ...], family: int) -> None:
    client, router, _ = routed
    address = SERVER[family]
    assert client.reach(address, timeout=60) > 0
    filters(router, "forward", "tcp dport 80 drop")
    client.blocked(address, 80)
    filters(router, "forward", f"{'ip' if family == 4 else 'ip6'} daddr {address} drop")
    client.blocked(address, 80, control="10.0.2.1")
    client.blocked(address)


@pytest.mark.slow
@both_families
def test_a_router_that_does_not_forward_does_not_block(routed: tuple[NetNS, ...], family: int) -> None:
    client, router, _ = routed
    assert client.reach(SERVER[family], timeout=60) > 0
    forward(router, False)
    with pytest.raises(AssertionError, match="does not say that it forwards to there; give as control="):
        client.blocked(SERVER[family], timeout=0.1)


@pytest.mark.slow
@both_families
def test_a_host_that_is_off_beyond_a_router_is_not_blocked(routed: tuple[NetNS, ...], family: int) -> None:
    """The router says so only after three seconds, and may have said so much that it has to be silent for a while."""
    client, _, _ = routed
    address = "10.0.2.9" if family == 4 else "2001:db8:2::9"
    assert client.reach(SERVER[family], timeout=60) > 0
    for port in (None, 80):
        with pytest.raises(AssertionError, match=r"cannot be told: the network does not get a packet there\n.*ICMP"):
            client.blocked(address, port)


# What is no question


@pytest.mark.parametrize(
    ("arguments", "options", "error", "text"),
    [
        ((None,), {}, TypeError, "the address is a str, such as '192.0.2.2' or the name of a host, not None"),
        (("",), {}, TypeError, "the address is a str"),
        (("192.0.2.2", "80"), {}, TypeError, "the port is an int, or None for an ICMP echo, not '80'"),
        (("192.0.2.2", True), {}, TypeError, "the port is an int"),
        (("192.0.2.2", 0), {}, ValueError, "the port is a number from 1 to 65535, or None for an ICMP echo, not 0"),
        (("192.0.2.2", 65536), {}, ValueError, "the port is a number"),
        (("192.0.2.2",), {"timeout": 0}, ValueError, "timeout is a number of seconds above 0"),
        (("no-such-host.invalid",), {}, socket.gaierror, "while looking up"),
    ],
)
def test_bad_input(netns: NetNS, arguments: Any, options: Any, error: type[Exception], text: str) -> None:
    for method in (netns.reach, netns.blocked):
        with pytest.raises(error, match=re.escape(text)):
            method(*arguments, **options)


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"by": "magic"}, ValueError, "by is one of 'drop', 'reject', 'reset', or None for the first two, not 'magic'"),
        ({"control": 22}, TypeError, "control is what is to be reached: an address, or ('server', 22), not 22"),
        ({"control": ("server",)}, TypeError, "control is what is to be reached"),
        ({"control": ("127.0.0.1", 0)}, ValueError, "the port is a number from 1 to 65535"),
    ],
)
def test_bad_options(netns: NetNS, options: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=re.escape(text)):
        netns.blocked("127.0.0.1", **options)


def test_a_closed_namespace_is_said(make_netns: MakeNetNS) -> None:
    ns = make_netns()
    ns.close()
    for method in (ns.reach, ns.blocked):
        with pytest.raises(NetNSClosedError):
            method("127.0.0.1")


def test_without_raw_sockets_connections_do(netns_pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    left, right = netns_pair
    make = left.socket

    def no_raw(family: int, type: int = socket.SOCK_STREAM, proto: int = 0) -> socket.socket:
        if type == socket.SOCK_RAW:
            raise NetNSPermissionError(1, "cannot create the socket")
        return make(family, type, proto)

    monkeypatch.setattr(left, "socket", no_raw)
    with right.create_server((RIGHT[4], 80)):
        assert left.reach(RIGHT[4], 80) > 0
    with pytest.raises(NetNSPermissionError):
        left.reach(RIGHT[4])


def test_a_report_has_the_error_and_not_our_frames(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_x(netns): netns.reach('10.9.9.9', timeout=0.1)")
    result = pytester.runpytest()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["E *AssertionError: namespace 'netns' does not reach 10.9.9.9 within 0.1 s"])
    result.stdout.no_fnmatch_line("*def reach*")
