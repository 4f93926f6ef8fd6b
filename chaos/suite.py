"""The tests that are disturbed. Each tells what it has, so that it can be looked for."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from pytest_netns import MakeNetNS, NetNS

HERE = Path(os.environ["CHAOS_FOLDER"])
PREFIX = os.environ["CHAOS_TOKEN"]
MODES = ["resident", "fork", "mp:fork", "resident", "mp:forkserver", "mp:spawn"]
SLEEP = "import signal; signal.pause()"


def tell(kind: str, *values: object) -> None:
    """Write values down under a kind, a line each, at once."""
    with (HERE / kind).open("a") as file:
        file.write("".join(f"{value}\n" for value in values))


@pytest.mark.parametrize("number", range(12))
def test_lab(make_netns: MakeNetNS, number: int) -> None:
    tell("workers", os.getpid())
    named, plain = make_netns(name=f"{PREFIX}-{number}"), make_netns()
    tell("residents", named._modes.resident.pid)
    tell("namespaces", named.inode, plain.inode)
    for ns in (named, plain):
        command = f"setsid sleep 1000 <&- >&- 2>&- & {sys.executable} -c '{SLEEP}' & exec sleep 1000"
        tell("commands", ns.popen(["sh", "-c", command]).pid)
        ns.ipr.link("add", ifname="left", kind="veth", peer="right")
    tell("tests", number)
    for _ in range(10):
        plain.socket()
        named.socket(child_mode=MODES[number % len(MODES)])
    if number % 2:
        plain.call(sum, [1, 2], child_mode="fork")


@pytest.mark.parametrize("number", range(4))
def test_pair(netns_pair: tuple[NetNS, NetNS], number: int) -> None:
    tell("tests", number)
    left, right = netns_pair
    tell("namespaces", left.inode, right.inode)
    thread = left.thread(target=left.ipr.get_links)
    thread.start()
    right.create_server(("192.0.2.2", 80))
    left.create_connection(("192.0.2.2", 80))
    thread.join()
