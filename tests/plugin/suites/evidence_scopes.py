"""Tests of a namespace that lives longer: what one test has counted is not the reason of the next."""

import socket

import pytest


@pytest.fixture(scope="module")
def wide(netns_factory):
    with netns_factory("wide") as ns:
        yield ns


def send(ns):
    with ns.socket(type=socket.SOCK_DGRAM) as sock:
        sock.sendto(b"hello", ("127.0.0.1", 9))


def test_first(wide):
    send(wide)
    raise TimeoutError("one")


def test_second(wide):
    send(wide)
    send(wide)


def test_third(wide):
    raise TimeoutError("nothing")


def test_fourth(wide):
    send(wide)
    raise TimeoutError("one again")
