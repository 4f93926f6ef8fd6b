"""Tests in which their process dies, of which something is unusual."""

import io
import os
import signal
import sys

import pytest


@pytest.fixture(autouse=True)
def counted(request):
    if "without" in request.node.name:
        return None
    netns = request.getfixturevalue("netns")
    netns.socket(2, 2).sendto(b"nobody is there", ("127.0.0.1", 9))
    return netns


@pytest.mark.parametrize("name", ["long" * 2000], ids=["long" * 2000])
def test_name_that_is_long(name):
    os._exit(3)


@pytest.mark.parametrize("name", [1], ids=["\udcff"])
def test_name_that_cannot_be_written(name):
    os._exit(3)


def fork():
    """Start a process that has a copy of the file for the controller, and of nothing else that others wait for."""
    pid = os.fork()
    if not pid:
        for fd in files(is_of_controller=False):
            os.close(fd)
        signal.pause()
    with open("forked", "w") as file:
        file.write(str(pid))


def files(is_of_controller):
    found = []
    for fd in map(int, os.listdir("/proc/self/fd")):
        try:
            if ("netns-worker" in os.readlink(f"/proc/self/fd/{fd}")) == is_of_controller:
                found.append(fd)
        except FileNotFoundError:  # that of the list
            continue
    return found


def test_has_forked_and_ends():
    fork()
    os._exit(3)


def test_has_forked_and_kills(counted):
    """Nobody is left who could say that nothing more is written."""
    fork()
    os.kill(counted._modes.resident.pid, signal.SIGKILL)
    os._exit(3)


def test_has_forked_and_passes_without_namespaces():
    """There is no resident child, which would say it too."""
    fork()


def test_closes_the_file_and_is_interrupted():
    for fd in files(is_of_controller=True):
        os.close(fd)
    raise KeyboardInterrupt


def test_is_interrupted():
    raise KeyboardInterrupt


def test_pair(netns_pair):
    os._exit(3)


def test_replaced(monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    os._exit(3)
