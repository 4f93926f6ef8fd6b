"""create_server and create_connection: as those of the standard library, in a namespace."""

from __future__ import annotations

import builtins
import errno
import functools
import inspect
import pickle
import re
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_netns import MakeNetNS, NetNS, NetNSClosedError, NetNSUnsupportedError, _causes
from pytest_netns._netns import sockets

pytestmark = [pytest.mark.core, pytest.mark.second_kernel]

ANY = ("127.0.0.1", 0)
NOBODY = ("127.0.0.1", 9)
HOSTS = ("::1", "127.0.0.1")

both_sides = pytest.mark.parametrize("whose", ["ours", "standard"])


def create_server(ns: NetNS, whose: str) -> Callable[..., socket.socket]:
    """Return ours, or that of the standard library as it works inside the namespace."""
    return ns.create_server if whose == "ours" else lambda *args, **kwargs: inside(ns, "create_server", args, kwargs)


def create_connection(ns: NetNS, whose: str) -> Callable[..., socket.socket]:
    """Return ours, or that of the standard library as it works inside the namespace."""
    if whose == "ours":
        return ns.create_connection
    return lambda *args, **kwargs: inside(ns, "create_connection", args, kwargs)


def inside(ns: NetNS, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    made = functools.partial(getattr(socket, name), *args, **kwargs)  # call has a timeout of its own
    return ns.call(made, child_mode="fork")


def backlog_of(server: socket.socket) -> int:
    """Return tcpi_sacked, which is the backlog of a socket that listens (net/ipv4/tcp.c, tcp_get_info)."""
    info = server.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return int(struct.unpack_from("@I", info, 28)[0])


def outcome(func: Callable[..., socket.socket], *args: Any, **kwargs: Any) -> tuple[object, ...]:
    """Return what is to be the same of a call that fails."""
    with pytest.raises((OSError, ValueError)) as info:
        func(*args, **kwargs).close()
    return type(info.value), str(info.value)


@pytest.mark.parametrize("name", ["create_server", "create_connection"])
def test_the_arguments_are_those_of_the_standard_library(netns: NetNS, name: str) -> None:
    def parameters(func: Callable[..., object]) -> list[tuple[str, object, object]]:
        found = inspect.signature(func).parameters.values()
        return [
            (each.name, each.kind, each.default)
            for each in found
            if each.name != "all_errors" or sys.version_info >= (3, 11)
        ]

    assert parameters(getattr(netns, name)) == parameters(getattr(socket, name))


@both_sides
@pytest.mark.parametrize(
    ("family", "address"), [(socket.AF_INET, ANY), (socket.AF_INET6, ("::1", 0)), (socket.AF_INET, ("", 0))]
)
def test_a_server_serves(netns: NetNS, whose: str, family: int, address: tuple[str, int]) -> None:
    with create_server(netns, whose)(address, family=family) as server:
        assert server.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR) == 1
        assert server.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 0
        host = "127.0.0.1" if family == socket.AF_INET else "::1"
        with create_connection(netns, whose)((host, server.getsockname()[1])) as client, server.accept()[0] as accepted:
            client.sendall(b"hello")
            assert accepted.recv(100) == b"hello"
            assert (client.family, client.type, client.gettimeout()) == (family, socket.SOCK_STREAM, None)


@both_sides
@pytest.mark.parametrize(("dualstack", "only"), [(False, 1), (True, 0)])
def test_a_server_of_ipv6_takes_ipv4_when_asked(netns: NetNS, whose: str, dualstack: bool, only: int) -> None:
    server = create_server(netns, whose)(("", 0), family=socket.AF_INET6, dualstack_ipv6=dualstack)
    with server:
        assert server.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY) == only


@pytest.mark.parametrize("backlog", [None, 0, 5])
def test_the_backlog_is_that_of_the_standard_library(netns: NetNS, backlog: int | None) -> None:
    with create_server(netns, "ours")(ANY, backlog=backlog) as ours:
        with create_server(netns, "standard")(ANY, backlog=backlog) as standard:
            assert backlog_of(ours) == backlog_of(standard)
            assert backlog in (None, backlog_of(ours))


@both_sides
def test_servers_share_a_port_when_asked(netns: NetNS, whose: str) -> None:
    with create_server(netns, whose)(ANY, reuse_port=True) as first:
        with create_server(netns, whose)(first.getsockname(), reuse_port=True) as second:
            assert second.getsockname() == first.getsockname()


def test_an_address_that_is_taken_is_named(netns: NetNS) -> None:
    with netns.create_server(ANY) as server:
        address = server.getsockname()
        ours, standard = (outcome(create_server(netns, whose), address) for whose in ("ours", "standard"))
    assert standard == (OSError, f"[Errno 98] Address already in use (while attempting to bind on address {address!r})")
    assert ours == (OSError, f"{standard[1]} in namespace 'netns')".replace(") in", " in"))


@pytest.mark.parametrize("address", [("192.0.2.1", 0), ("::1", 0)])
def test_an_address_that_cannot_be_bound_is_the_same_error(netns: NetNS, address: tuple[str, int]) -> None:
    def error_of(whose: str) -> tuple[object, ...]:
        with pytest.raises(OSError, match="while attempting to bind on address") as info:
            create_server(netns, whose)(address)
        return info.value.errno, str(info.value)

    number, text = error_of("standard")
    assert error_of("ours") == (number, str(text).removesuffix(")") + " in namespace 'netns')")


@pytest.mark.parametrize(
    ("address", "error"), [(("127.0.0.1", 0, 0), TypeError), (("127.0.0.1", 1 << 16), OverflowError)]
)
def test_an_address_that_is_none_leaves_no_socket(netns: NetNS, address: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        netns.create_server(address)
    assert [sock.fileno() for sock in netns._sockets._open] == [-1]


def test_dualstack_without_ipv6_is_the_same_error(netns: NetNS) -> None:
    ours, standard = (outcome(create_server(netns, whose), ANY, dualstack_ipv6=True) for whose in ("ours", "standard"))
    assert ours == standard == (ValueError, "dualstack_ipv6 requires AF_INET6 family")


def test_a_server_that_cannot_be_made_leaves_no_socket(netns: NetNS) -> None:
    with netns.create_server(ANY) as server:
        before = len(netns._sockets._open)
        for _ in range(3):
            with pytest.raises(OSError, match="Address already in use"):
                netns.create_server(server.getsockname())
        assert [sock.fileno() for sock in netns._sockets._open[before:]] == [-1] * 3


@pytest.mark.parametrize("timeout", [None, 2.5])
def test_a_connection_keeps_its_timeout(netns: NetNS, timeout: float | None) -> None:
    with netns.create_server(ANY) as server:
        with netns.create_connection(server.getsockname(), timeout=timeout) as client:
            assert client.gettimeout() == timeout


@both_sides
def test_a_connection_that_takes_too_long_is_a_timeout(netns: NetNS, whose: str) -> None:
    with netns.create_server(ANY, backlog=0) as server:  # it never accepts: a queue that is full drops the rest
        connect = functools.partial(create_connection(netns, whose), server.getsockname())
        with connect(), pytest.raises(TimeoutError) as info:
            connect(timeout=0.05)
        told = f" (while connecting to {server.getsockname()!r} in namespace 'netns')"
        assert str(info.value) == "timed out" + (told if whose == "ours" else "")
        assert info.value.errno is None


@both_sides
def test_a_connection_has_the_source_address_it_was_given(netns: NetNS, whose: str) -> None:
    with netns.create_server(ANY) as server:
        client = create_connection(netns, whose)(server.getsockname(), source_address=("127.0.0.2", 0))
        with client, server.accept()[0] as accepted:
            assert accepted.getpeername() == client.getsockname()
            assert client.getsockname()[0] == "127.0.0.2"


@pytest.mark.parametrize(
    ("address", "kwargs"),
    [
        (NOBODY, {}),
        (NOBODY, {"source_address": ("192.0.2.1", 0)}),
        (("192.0.2.1", 9), {}),
        (("::1", 9), {}),
    ],
)
def test_a_connection_that_fails_is_the_same_error(netns: NetNS, address: Any, kwargs: dict[str, Any]) -> None:
    ours, standard = (outcome(create_connection(netns, whose), address, **kwargs) for whose in ("ours", "standard"))
    doing = f"attempting to bind on {kwargs['source_address']!r} to connect to" if kwargs else "connecting to"
    assert ours == (standard[0], f"{standard[1]} (while {doing} {address!r} in namespace 'netns')")


def two_ways(netns: NetNS) -> tuple[str | None, int]:
    """Return an address that is ::1, where nobody listens, and then 127.0.0.1, which is not there."""
    netns.ipr.addr("del", index=1, address="127.0.0.1", prefixlen=8)
    found = netns.call(socket.getaddrinfo, None, 9, 0, socket.SOCK_STREAM, child_mode="fork")
    assert [each[4][0] for each in found] == list(HOSTS)
    return None, 9


@pytest.mark.needs_thread_inside
def test_of_several_errors_it_is_the_same_one(netns: NetNS) -> None:
    address: Any = two_ways(netns)
    with netns.enter():  # the order of addresses depends on the namespace in which they are looked up
        ours, standard = (outcome(create_connection(netns, whose), address) for whose in ("ours", "standard"))
    told = "(while connecting to (None, 9), which is 127.0.0.1, in namespace 'netns')"
    assert ours == (standard[0], f"{standard[1]} {told}")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="exception groups came with Python 3.11")
@pytest.mark.needs_thread_inside
@both_sides
def test_all_errors_come_in_a_group(netns: NetNS, whose: str) -> None:
    address: Any = two_ways(netns)
    group: type[Any] = vars(builtins)["ExceptionGroup"]  # by its name, it is an error for type checkers at 3.10
    connect: Any = netns.create_connection if whose == "ours" else socket.create_connection
    with netns.enter(), pytest.raises(group) as info:
        connect(address, all_errors=True)
    assert info.value.message == "create_connection failed"
    found = [error.errno for error in info.value.exceptions if isinstance(error, OSError)]
    assert found == [errno.ECONNREFUSED, errno.ENETUNREACH]
    if whose == "ours":
        told = [f"(while connecting to (None, 9), which is {host}, in namespace 'netns')" for host in HOSTS]
        assert [str(error).partition("(")[1:] for error in info.value.exceptions] == [("(", text[1:]) for text in told]


@pytest.mark.skipif(sys.version_info >= (3, 11), reason="there are exception groups")
def test_all_errors_before_exception_groups_says_so(netns: NetNS) -> None:
    with pytest.raises(ValueError, match=r"^all_errors needs the exception groups of Python 3\.11$") as info:
        netns.create_connection(NOBODY, all_errors=True)
    assert isinstance(info.value.__cause__, ConnectionRefusedError)


def test_a_name_is_looked_up(netns: NetNS) -> None:
    with netns.create_server(("localhost", 0)) as server:
        with netns.create_connection(("localhost", server.getsockname()[1])) as client:
            assert client.getpeername() == server.getsockname()


def test_a_name_that_is_unknown_is_the_same_error(netns: NetNS) -> None:
    address = ("no-such-host.invalid", 9)
    ours, standard = (outcome(create_connection(netns, whose), address) for whose in ("ours", "standard"))
    has_hint = str(standard[1]).startswith(f"[Errno {socket.EAI_AGAIN}]")
    hint = _causes.NEXT_STEP[_causes.LOOKING_UP][socket.EAI_AGAIN]
    told = f"{standard[1]} (while looking up {address!r} in namespace 'netns')"
    assert ours == (socket.gaierror, f"{told}; {hint}" if has_hint else told)


@pytest.mark.parametrize("address", [("no-such-host.invalid", 0), ("fe80::1%none", 0)])
def test_a_server_of_a_name_that_is_unknown_says_where(netns: NetNS, address: tuple[str, int]) -> None:
    with pytest.raises(socket.gaierror, match=r"\(while looking up '.*' in namespace 'netns'\)(;|$)") as info:
        netns.create_server(address)
    assert str(info.value).count("while") == 1
    assert str(pickle.loads(pickle.dumps(info.value))) == str(info.value)


@pytest.mark.parametrize("address", [80, "127.0.0.1", ("127.0.0.1",), ("::1", 80, 0, 0), None])
def test_what_is_no_address_is_a_type_error(netns: NetNS, address: Any) -> None:
    with pytest.raises(TypeError) as info:
        netns.create_connection(address)
    assert str(info.value) == (
        f"the address to connect to is a tuple of host and port, such as ('127.0.0.1', 80), not {address!r}"
    )


def test_an_error_keeps_its_traceback_and_its_text_when_it_is_pickled(netns: NetNS) -> None:
    with pytest.raises(ConnectionRefusedError) as info:
        netns.create_connection(NOBODY)
    assert info.value.__cause__ is None
    assert not info.value.__suppress_context__
    assert info.value.errno == errno.ECONNREFUSED
    assert [entry.name for entry in info.traceback][-2:] == ["create_connection", "_connect"]
    assert str(pickle.loads(pickle.dumps(info.value))) == str(info.value)


def test_an_error_of_the_namespace_is_not_told_twice(netns: NetNS) -> None:
    address: Any = ("127.0.0.1", 9)
    netns.close()
    for act in (netns.create_server, netns.create_connection):
        with pytest.raises(NetNSClosedError) as info:
            act(address)
        assert str(info.value).count("namespace 'netns'") == 1


def nameserver() -> str:
    """Return the address that the C library asks for names, or skip where it asks none directly."""
    lines = [line.split() for line in Path("/etc/resolv.conf").read_text().splitlines()]
    found = [line[1] for line in lines if line[:1] == ["nameserver"] and ":" not in line[1]]
    services = re.findall(r"^hosts:(.*)$", Path("/etc/nsswitch.conf").read_text(), re.MULTILINE)
    if not found or not services or "dns" not in services[0].split() or "resolve" in services[0].split():
        pytest.skip("names are not looked up by DNS alone here")
    return found[0]


def answer_names(sock: socket.socket, address: str) -> None:
    """Answer each question of DNS (RFC 1035, 4.1) with an IPv4 address, until a packet comes that asks none."""
    while (received := sock.recvfrom(512))[0] != b"stop":
        packet, sender = received
        question = packet[12 : packet.index(b"\0", 12) + 5]
        asks_ipv4 = question[-4:-2] == b"\0\1"
        header = packet[:2] + b"\x81\x80" + struct.pack("!4H", 1, asks_ipv4, 0, 0)
        record = b"\xc0\x0c" + struct.pack("!2HIH", 1, 1, 0, 4) + socket.inet_aton(address)
        sock.sendto(header + question + record * asks_ipv4, sender)


@pytest.fixture
def named(make_netns: MakeNetNS) -> Iterator[NetNS]:
    """A namespace in which every name stands for 127.0.0.3, while the test is in one where none can be looked up."""
    outside, ns = make_netns("outside"), make_netns("inside")
    with outside.enter():
        pass  # it can be
    at = (nameserver(), 53)
    ns.ipr.addr("replace", index=1, address=at[0], prefixlen=32)
    names, asker = ns.sockets([(socket.AF_INET, socket.SOCK_DGRAM)] * 2)
    names.bind(at)
    thread = threading.Thread(target=answer_names, args=(names, "127.0.0.3"))
    thread.start()
    with outside.enter():
        yield ns
    asker.sendto(b"stop", at)
    thread.join()


@pytest.mark.needs_thread_inside
def test_names_are_looked_up_inside(named: NetNS) -> None:
    with named.create_server(("server.test", 0)) as server:
        assert server.getsockname()[0] == "127.0.0.3"
        address = ("server.test", server.getsockname()[1])
        with named.create_connection(address, source_address=("client.test", 0)) as client:
            assert (client.getpeername(), client.getsockname()[0]) == (server.getsockname(), "127.0.0.3")


def with_scoped_address(make_netns: MakeNetNS) -> tuple[NetNS, NetNS, str]:
    """Return a namespace, one with a link of the same name and another index, and an address on that link."""
    outside, ns = make_netns("outside"), make_netns("inside")
    outside.ipr.link("add", ifname="link", kind="bridge")
    for ifname in ("first", "second", "link"):
        ns.ipr.link("add", ifname=ifname, kind="bridge", state="up")
    (index,) = ns.ipr.link_lookup(ifname="link")
    assert outside.ipr.link_lookup(ifname="link") != [index]
    ns.ipr.addr("add", index=index, address="fe80::1", prefixlen=64, flags=2)  # IFA_F_NODAD
    return outside, ns, "fe80::1%link"


@pytest.mark.needs_thread_inside
def test_the_link_of_an_address_to_connect_to_is_looked_up_inside(make_netns: MakeNetNS) -> None:
    outside, ns, host = with_scoped_address(make_netns)
    with ns.create_server(("::", 0), family=socket.AF_INET6) as server:
        address = (host, server.getsockname()[1])
        ns.call(socket.create_connection, address, child_mode="fork").close()
        with outside.enter(), ns.create_connection(address) as client:
            assert client.getpeername()[0] == "fe80::1"


def test_an_address_without_its_family_gives_way_to_the_next(netns: NetNS) -> None:
    def make(family: int) -> socket.socket:
        if family == socket.AF_INET6:  # as a kernel does that was booted with ipv6.disable=1
            raise NetNSUnsupportedError(errno.EAFNOSUPPORT, "no IPv6")
        return netns.socket(family)

    def resolve(*_: object) -> list[Any]:
        return [
            (family, 1, 6, "", (host, port)) for family, host in ((socket.AF_INET6, "::1"), (socket.AF_INET, host4))
        ]

    with netns.create_server(ANY) as server:
        host4, port = server.getsockname()
        maker = sockets.Maker(make, resolve, "here")
        sockets.create_connection(maker, ("a-name", port), timeout=None, source_address=None, all_errors=False).close()
