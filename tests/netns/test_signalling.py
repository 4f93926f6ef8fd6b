"""Only what is verified is signalled: commands that were started, and what is inside a namespace."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from pytest_netns import MakeNetNS
from pytest_netns._child.resident.reaper import Reaper
from pytest_netns._linux import syscalls
from tests.support.helpers import eventually, is_running, needs_privilege


@pytest.fixture
def stranger() -> Iterator[tuple[int, int]]:
    """A child of the test that has nothing to do with a namespace, and a child of that."""
    script = "sleep 1000 & echo $!; wait"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdout is not None
        sleep = int(shell.stdout.readline())
        yield shell.pid, sleep
        shell.kill()
        os.kill(sleep, 9)


def pretended(pid: Any) -> mock.Mock:
    """Return what a test may put in the place of a process."""
    fake = mock.Mock(pid=pid, returncode=None, stdin=None, stdout=None, stderr=None, args=["serverd"])
    fake.poll.side_effect = lambda: fake.returncode
    fake.wait.return_value = 0
    return fake


@pytest.mark.parametrize("kind", ["the pid of a child", "the pid of a grandchild", "a mock of a pid", "our own pid"])
def test_a_process_that_is_made_up_is_not_signalled(
    make_netns: MakeNetNS, stranger: tuple[int, int], kind: str
) -> None:
    pids = {"the pid of a child": stranger[0], "the pid of a grandchild": stranger[1], "our own pid": os.getpid()}
    ns = make_netns()
    with mock.patch("subprocess.Popen", return_value=pretended(pids.get(kind, mock.Mock()))):
        ns.popen(["serverd"])
    ns.close()
    assert all(is_running(pid) for pid in stranger)


def test_a_process_that_pretends_to_have_started_is_not_signalled(
    make_netns: MakeNetNS, stranger: tuple[int, int]
) -> None:
    def pretend(self: Any, args: Any, **kwargs: Any) -> None:
        self.args, self.pid, self.returncode = args, stranger[0], None
        self.stdin = self.stdout = self.stderr = None
        self._child_created = False

    ns = make_netns()
    with mock.patch.object(subprocess.Popen, "__init__", pretend):
        ns.popen(["serverd"])
    ns.close()
    assert all(is_running(pid) for pid in stranger)


def test_what_is_started_beside_one_that_is_made_up_is_ended(make_netns: MakeNetNS, stranger: tuple[int, int]) -> None:
    ns = make_netns()
    with mock.patch("subprocess.Popen", return_value=pretended(stranger[0])):
        ns.popen(["serverd"])
    process = ns.popen(["sleep", "1000"])
    ns.close()
    assert not is_running(process.pid)
    assert all(is_running(pid) for pid in stranger)


INSIDE = """
import os, subprocess, sys
from pytest_netns._linux import syscalls
from pytest_netns._child.resident.reaper import Reaper

other = subprocess.Popen(["sleep", "1000"])
here = syscalls.namespace_id("/proc/self/ns/net")
reaper = Reaper({here}, tuple(map(int, sys.argv[1].split())))
assert reaper.signal(9) == [other.pid], "the parent, which is inside too, is spared, and so are we"
assert other.wait() == -9
assert reaper.signal(9) == []
reaper.close()
"""


@needs_privilege
def test_neither_itself_nor_an_ancestor(make_netns: MakeNetNS) -> None:
    original = " ".join(map(str, syscalls.namespace_id("/proc/self/ns/net")))
    command = ["sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-c", INSIDE, original]
    make_netns().run(command, check=True)


@pytest.mark.parametrize("roots", [True, False])
def test_nothing_in_the_original_namespace(stranger: tuple[int, int], roots: bool) -> None:
    original = syscalls.namespace_id("/proc/self/ns/net")
    reaper = Reaper({original}, original)
    try:
        assert reaper.signal(9, stranger[:1] if roots else (), os.getpid()) == []
        assert reaper.strays() == ([stranger[1]] if roots else [])
    finally:
        reaper.close()
    assert all(is_running(pid) for pid in stranger)


def test_roots_of_others_are_no_roots(make_netns: MakeNetNS) -> None:
    """What descends from a process is only looked for if that is a child of the test process."""
    ns, other = make_netns(), make_netns()
    process = other.popen(["sh", "-c", "sleep 1000 & wait"])
    children = f"/proc/{process.pid}/task/{process.pid}/children"
    eventually(lambda: Path(children).read_text(), "it has a child")
    inhabited = {ns._handle.identity}
    reaper = Reaper(inhabited, syscalls.namespace_id("/proc/self/ns/net"))
    try:
        assert reaper.signal(0, [process.pid], os.getppid()) == []
        assert len(reaper.signal(0, [process.pid], os.getpid())) == 1
    finally:
        reaper.close()
