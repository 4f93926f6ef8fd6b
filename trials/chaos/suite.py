"""The tests that are disturbed. Each tells what it has, so that it can be looked for."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from pytest_netns import ChildModeName, MakeNetNS, NetNS
from pytest_netns._linux import syscalls

from .telling import FOLDER, OnPurpose, tell

PREFIX = os.environ["CHAOS_TOKEN"]
MODES: list[ChildModeName] = ["resident", "fork", "mp:fork", "resident", "mp:forkserver", "mp:spawn"]
SLEEP = "import signal; signal.pause()"
STUBBORN = "trap '' TERM; sleep 1000"
PATIENCE = 30.0  # seconds for a trouble to pass

if "CHAOS_TMPDIR" in os.environ:  # only now: pytest itself needs one that can be written to
    os.environ["TMPDIR"] = os.environ["XDG_RUNTIME_DIR"] = str(FOLDER / os.environ["CHAOS_TMPDIR"])


def fail_on_purpose(number: int) -> None:
    if "CHAOS_FAILS" in os.environ and number % 4 == 3:
        raise OnPurpose


@pytest.mark.parametrize("number", range(12))
def test_lab(make_netns: MakeNetNS, number: int) -> None:
    tell("workers", os.getpid())
    named, plain = make_netns(name=f"{PREFIX}-{number}"), make_netns()
    tell("residents", named._modes.resident.pid)
    tell("recorders", *named._recorder.program.pids())
    tell("namespaces", named.inode, plain.inode)
    for ns in (named, plain):
        command = f"setsid sleep 1000 <&- >&- 2>&- & {sys.executable} -c '{SLEEP}' & exec sleep 1000"
        tell("commands", ns.popen(["sh", "-c", command]).pid)
        ns.ipr.link("add", ifname="left", kind="veth", peer="right")
    if "CHAOS_STUBBORN" in os.environ and number in (1, 4):
        tell("commands", plain.popen(["sh", "-c", STUBBORN]).pid)
    tell("tests", number)
    for _ in range(10):
        plain.socket()
        named.socket(child_mode=MODES[number % len(MODES)])
    if number % 2:
        plain.call(sum, [1, 2], child_mode="fork")
    fail_on_purpose(number)


@pytest.mark.parametrize("number", range(4))
def test_pair(netns_pair: tuple[NetNS, NetNS], number: int) -> None:
    tell("tests", number)
    left, right = netns_pair
    tell("namespaces", left.inode, right.inode)
    make_thread = threading.Thread if "CHAOS_OUTSIDE" in os.environ else left.thread
    thread = make_thread(target=left.ipr.get_links)
    thread.start()
    right.create_server(("192.0.2.2", 80))
    left.create_connection(("192.0.2.2", 80))
    thread.join()
    fail_on_purpose(number)


@pytest.mark.skipif("CHAOS_PASSES" not in os.environ, reason="what happens is no trouble that passes")
@pytest.mark.parametrize("number", range(2))
def test_after(netns_factory: MakeNetNS, number: int) -> None:
    """When a trouble is over, everything works again."""
    deadline = syscalls.monotonic() + PATIENCE
    while not (FOLDER / "over").exists():
        assert syscalls.monotonic() < deadline
        syscalls.sleep(0.01)
    with netns_factory(name=f"{PREFIX}-after-{number}") as ns:
        for mode in MODES:
            ns.socket(child_mode=mode)
        ns.run(["true"], check=True)
        assert ns.ipr.get_links()
