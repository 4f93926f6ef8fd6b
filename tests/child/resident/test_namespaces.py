"""The sockets that a namespace has before they are asked for."""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Iterator

import pytest

from pytest_netns._child.resident.namespaces import Namespace

STREAM = int(socket.AF_INET), int(socket.SOCK_STREAM), 0
DATAGRAM = int(socket.AF_INET), int(socket.SOCK_DGRAM), 0


@pytest.fixture
def namespace() -> Iterator[Namespace]:
    namespace = Namespace(os.open("/proc/self/ns/net", os.O_RDONLY), 0)
    yield namespace
    namespace.close()


def is_open(fd: int) -> bool:
    return os.path.exists(f"/proc/self/fd/{fd}")


def test_those_that_are_asked_for_are_passed_once(namespace: Namespace) -> None:
    namespace.make_sockets([STREAM, DATAGRAM])
    found = [socket.socket(fileno=fd) for fd in namespace.take_sockets([STREAM, DATAGRAM])]
    assert [sock.type for sock in found] == [socket.SOCK_STREAM, socket.SOCK_DGRAM]
    assert namespace.take_sockets([STREAM, DATAGRAM]) == []
    for sock in found:
        sock.close()


@pytest.mark.parametrize("asked", [[], [STREAM], [DATAGRAM, STREAM]])
def test_others_are_closed(namespace: Namespace, asked: list[tuple[int, int, int]]) -> None:
    namespace.make_sockets([STREAM, DATAGRAM])
    made = [*namespace._sockets]
    assert all(map(is_open, made))
    assert namespace.take_sockets(asked) == []
    assert not any(map(is_open, made))


def test_they_are_closed_with_it(namespace: Namespace) -> None:
    namespace.make_sockets([STREAM])
    (made,) = namespace._sockets
    namespace.close()
    assert not is_open(made)


def test_without_room_there_are_none(namespace: Namespace) -> None:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + 1, limit[1]))
    try:
        namespace.make_sockets([STREAM, DATAGRAM])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    assert namespace.take_sockets([STREAM, DATAGRAM]) == []
    assert not is_open(lowest)
