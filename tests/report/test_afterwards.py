"""What is told of the namespaces of a test whose process has died, where not all of them can be looked at."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pytest_netns import NetNS
from pytest_netns._child.resident.witness import PROGRAM
from pytest_netns._linux import proc, syscalls
from pytest_netns._report.afterwards.telling import TITLE

LINES = """
import sys
from pytest_netns._linux import syscalls
from pytest_netns._report.afterwards.telling import lines

broken, whole = map(int, sys.argv[1:])
spaces = [(broken, 0, "broken"), (whole, 0, "whole")]
print(*lines(spaces, syscalls.monotonic() + 300), sep="\\n")
"""


def test_it_says_how_many_were_not_looked_at() -> None:
    running, out = os.memfd_create("running"), os.memfd_create("out")
    try:
        os.write(running, b"test_it\0of another")
        numbers = map(str, (os.getpid(), running, out, 300, 2))
        subprocess.run([sys.executable, "-I", "-S", PROGRAM, *numbers], pass_fds=[running, out], check=True)
        first, *_, last = os.pread(out, 1000, 0).decode().strip().splitlines()
    finally:
        os.close(running)
        os.close(out)
    assert first.startswith("network of test_it, as it was just after ")
    assert last == "2 more namespaces were not looked at"


@pytest.mark.skipif(not proc.has_capability(syscalls.CAP_SYS_ADMIN), reason="the program has to enter namespaces")
def test_one_that_cannot_be_looked_at_does_not_hide_the_others(netns: NetNS) -> None:
    netns.run(["ip", "route", "add", "198.51.100.0/24", "dev", "lo"], check=True)
    reading, writing = os.pipe()
    try:
        told = subprocess.run(
            [sys.executable, "-c", LINES, str(reading), str(netns.fileno())],
            pass_fds=[reading, netns.fileno()],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
    finally:
        os.close(reading)
        os.close(writing)
    assert TITLE in told
    assert "    route + 198.51.100.0/24 dev lo\n" in told
    assert told.splitlines()[-1].startswith("namespace 'broken' could not be looked at: ")
