"""What each suite of isolated tests begins with."""

import os
import socket  # noqa: F401 (for what follows)
import subprocess  # noqa: F401
import threading

import pytest  # noqa: F401

from pytest_netns._linux import syscalls  # noqa: F401


def place():
    return os.stat("/proc/thread-self/ns/net").st_ino


def in_a_thread(func):
    found = []
    thread = threading.Thread(target=lambda: found.append(func()))
    thread.start()
    thread.join()
    return found[0]


HOME = place()
