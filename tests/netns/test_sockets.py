"""Sockets of a namespace: what they are, and where."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import socket
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any

import pytest

from pytest_netns import ChildModeError, ChildModeName, NetNS, NetNSError
from pytest_netns._child import MODES
from pytest_netns._netns.factory import Session
from tests.support.helpers import eventually

pytestmark = pytest.mark.core

SIOCGSKNS = 0x894C  # <linux/sockios.h>
ETH_P_ALL = socket.htons(3)

USE_A_KERNEL = "use a kernel that has this address family, or load its module"

SPECS: list[tuple[int, ...]] = [
    (),
    (socket.AF_INET,),
    (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP),
    (socket.AF_INET, socket.SOCK_DGRAM),
    (socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP),
    (socket.AF_INET6, socket.SOCK_STREAM),
    (socket.AF_INET6, socket.SOCK_DGRAM, socket.IPPROTO_UDP),
    (socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6),
    (socket.AF_PACKET, socket.SOCK_RAW, ETH_P_ALL),
    (socket.AF_PACKET, socket.SOCK_DGRAM, ETH_P_ALL),
    (socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE),
    (socket.AF_NETLINK, socket.SOCK_DGRAM, socket.NETLINK_ROUTE),
    (socket.AF_UNIX, socket.SOCK_STREAM),
    (socket.AF_UNIX, socket.SOCK_DGRAM),
    (socket.AF_UNIX, socket.SOCK_SEQPACKET),
    (socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC),
]


@contextlib.contextmanager
def default_timeout(seconds: float | None) -> Iterator[None]:
    saved = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(saved)


def traits(sock: socket.socket) -> tuple[object, ...]:
    """Return what tells one kind of socket from another, in Python and in the kernel."""
    names = (socket.SO_DOMAIN, socket.SO_TYPE, socket.SO_PROTOCOL)
    kernels = [sock.getsockopt(socket.SOL_SOCKET, name) for name in names]
    return type(sock), sock.family, sock.type, sock.proto, kernels, sock.gettimeout(), os.get_blocking(sock.fileno())


def namespace_of(sock: socket.socket) -> tuple[int, int]:
    fd = fcntl.ioctl(sock, SIOCGSKNS)
    try:
        return identity(fd)
    finally:
        os.close(fd)


def identity(fd: int) -> tuple[int, int]:
    status = os.stat(fd)
    return status.st_dev, status.st_ino


def open_sockets(pid: int | str = "self") -> set[str]:
    """Return the descriptors of a process that are sockets, and what they refer to."""
    found = set()
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            found.add(f"{fd} {os.readlink(f'/proc/{pid}/fd/{fd}')}")
    return {each for each in found if " socket:" in each}


@pytest.mark.parametrize("mode", MODES)
def test_sockets_of_every_kind_are_those_of_the_namespace(netns: NetNS, mode: ChildModeName) -> None:
    made = netns.sockets(SPECS, child_mode=mode)
    assert [sock.get_inheritable() for sock in made] == [False] * len(SPECS)
    assert {namespace_of(sock) for sock in made} == {identity(netns.fileno())}
    flags = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    kinds = [(sock.family, sock.type, sock.proto)[: len(spec)] for sock, spec in zip(made, SPECS, strict=True)]
    assert kinds == [tuple(number & ~flags if i == 1 else number for i, number in enumerate(spec)) for spec in SPECS]


@pytest.mark.needs_thread_inside
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("timeout", [None, 3.5, 0.0])
def test_a_socket_is_what_socket_socket_makes(netns: NetNS, mode: ChildModeName, timeout: float | None) -> None:
    with default_timeout(timeout):
        made = netns.sockets(SPECS, child_mode=mode)
        with netns.enter():
            own = [socket.socket(*spec) for spec in SPECS]
    assert [traits(sock) for sock in made] == [traits(sock) for sock in own]
    for sock in own:
        sock.close()


@pytest.mark.parametrize("timeout", [None, 3.5, 0.0])
def test_a_default_timeout_is_not_one_of_the_childs(timeout: float | None) -> None:
    with default_timeout(timeout), contextlib.closing(Session()) as session:
        assert session.namespace().socket().gettimeout() == timeout


def test_the_arguments_may_be_named(netns: NetNS) -> None:
    sock = netns.socket(proto=socket.IPPROTO_UDP, type=socket.SOCK_DGRAM, family=socket.AF_INET6)
    assert (sock.family, sock.type, sock.proto) == (socket.AF_INET6, socket.SOCK_DGRAM, socket.IPPROTO_UDP)


@pytest.mark.parametrize("spec", [(-1,), (socket.AF_INET, -1), (socket.AF_INET, socket.SOCK_STREAM, -1)])
def test_minus_one_stands_for_the_default(netns: NetNS, spec: tuple[int, ...]) -> None:
    with socket.socket(*spec) as own:
        assert traits(netns.socket(*spec)) == traits(own)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("spec", "number", "text"),
    [
        (
            (999,),
            errno.EAFNOSUPPORT,
            f"EAFNOSUPPORT (Address family not supported by protocol); {USE_A_KERNEL}",
        ),
        (
            (socket.AF_INET, socket.SOCK_SEQPACKET),
            errno.ESOCKTNOSUPPORT,
            "ESOCKTNOSUPPORT (Socket type not supported); check that the address family has this type of socket",
        ),
        (
            (socket.AF_INET, 15),
            errno.EINVAL,
            "EINVAL (Invalid argument); check the type and the protocol: the address family has no such socket",
        ),
        (
            (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_UDP),
            errno.EPROTONOSUPPORT,
            "EPROTONOSUPPORT (Protocol not supported); check the protocol number, or load the module that provides it",
        ),
    ],
    ids=["family", "type-of-the-family", "type", "protocol"],
)
def test_what_the_kernel_refuses_is_named(
    netns: NetNS, mode: ChildModeName, spec: tuple[int, ...], number: int, text: str
) -> None:
    with pytest.raises(NetNSError) as info:
        netns.socket(*spec, child_mode=mode)
    assert str(info.value) == f"[Errno {number}] namespace 'netns': cannot create the socket: {text}"
    with pytest.raises(OSError, match=os.strerror(number)) as own:
        socket.socket(*spec)
    assert isinstance(info.value, OSError)
    assert info.value.errno == own.value.errno == number


def test_an_argument_that_is_no_number_is_a_type_error(netns: NetNS) -> None:
    arguments: Any = ("AF_INET",)
    with pytest.raises(TypeError, match=r" is no socket to make: its family, type and protocol are integers, such as "):
        netns.socket(*arguments)


def test_a_spec_that_is_too_long_is_named(netns: NetNS) -> None:
    with pytest.raises(TypeError) as info:
        netns.sockets([(1, 2, 3, 4)])
    assert "_spec()" not in str(info.value)


def test_a_child_mode_that_is_none_is_refused(netns: NetNS) -> None:
    with pytest.raises(ChildModeError) as info:
        netns.socket(child_mode="frok")  # type: ignore[arg-type]
    assert str(info.value) == f"'frok' is not a child mode; valid are: {', '.join(MODES)}"


@pytest.mark.parametrize("mode", MODES)
def test_many_sockets_come_in_order_or_not_at_all(netns: NetNS, mode: ChildModeName) -> None:
    good = (socket.AF_INET, socket.SOCK_DGRAM)
    assert netns.sockets([], child_mode=mode) == []
    resident = netns._modes.resident.pid
    assert resident is not None
    before, of_the_child = open_sockets(), open_sockets(resident)
    with pytest.raises(NetNSError, match="EAFNOSUPPORT"):
        netns.sockets([good, good, (999,), good, good], child_mode=mode)
    assert open_sockets() == before
    # It makes a namespace ahead while nothing is asked, with a socket that may be seen by either look.
    eventually(lambda: open_sockets(resident) <= of_the_child, "the child has none of the sockets left")
    made = netns.sockets(iter([good, (socket.AF_INET6,), good]), child_mode=mode)
    assert [sock.family for sock in made] == [socket.AF_INET, socket.AF_INET6, socket.AF_INET]


def test_the_path_to_a_socket_is_short(netns: NetNS) -> None:
    """Its stack is what a reader follows: at most four calls, in three files, between the test and socket.socket."""
    stacks: list[list[str]] = []
    made = socket.socket.__init__.__code__

    def profile(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code is made:
            stack = []
            caller = frame.f_back
            while caller is not None and caller.f_code is not test.__code__:
                stack.append(caller.f_code.co_filename)
                caller = caller.f_back
            stacks.append(stack)

    def test() -> None:
        netns.socket().close()

    test()  # the child runs
    sys.setprofile(profile)
    try:
        test()
    finally:
        sys.setprofile(None)
    assert len(stacks) == 1
    assert len(stacks[0]) <= 4, stacks
    assert len(set(stacks[0])) <= 3, stacks
