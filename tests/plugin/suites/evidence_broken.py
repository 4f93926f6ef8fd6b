"""Tests that fail with something broken: their results stand, and the report says what is missing."""

import os
import resource
import signal
import subprocess
import time
from unittest import mock

import pytest


def fail(ns):
    ns.create_connection(("127.0.0.1", 80))


@pytest.fixture
def no_descriptors():
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")) - 1, limit[1]))
    resource.setrlimit(resource.RLIMIT_NOFILE, limit)


@pytest.fixture
def frozen():
    freezegun = pytest.importorskip("freezegun")
    with freezegun.freeze_time("2020-01-01"):
        yield


def test_descriptors(netns, no_descriptors):
    no_descriptors()
    raise TimeoutError("mine")


def test_closed(make_netns):
    one, other = make_netns("one"), make_netns("other")
    one.close()
    fail(other)


def test_sockets_left(netns):
    sockets = netns.sockets([()] * 5)
    for sock in sockets:
        os.close(sock.detach())
    listening = netns.create_server(("127.0.0.1", 81))
    os.close(listening.fileno())
    try:
        fail(netns)
    finally:
        listening.detach()


def test_files(netns, fs):
    fail(netns)


def test_clock(netns, frozen):
    fail(netns)


@pytest.fixture
def no_os(monkeypatch):
    for name in ("open", "read", "listdir", "readlink", "close"):
        monkeypatch.setattr(os, name, mock.Mock(side_effect=OSError("not today")))


def test_os(netns, no_os):
    fail(netns)


def test_child_killed(netns):
    os.kill(netns._modes.resident.pid, signal.SIGKILL)
    fail(netns)


def test_child_stopped(make_netns):
    ns = make_netns(child_timeout=5)
    pid = ns._modes.resident.pid
    error = None
    try:
        fail(ns)
    except ConnectionRefusedError as caught:
        error = caught
    os.kill(pid, signal.SIGSTOP)
    raise error


def test_patched_subprocess(netns, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", mock.Mock(side_effect=OSError("not today")))
    monkeypatch.setattr(time, "monotonic", lambda: 0)
    fail(netns)
