"""``python -m pytest_netns``, also for a session that goes on."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys

import pytest

from pytest_netns import NetNS, NetNSError
from pytest_netns._child.resident import requests
from pytest_netns._console import sessions
from pytest_netns._linux import fdpass, proc
from pytest_netns._netns.factory import Session
from tests.support.helpers import end_resident, output
from tests.support.ordinary_user import needs_root

CONSOLE = (sys.executable, "-m", "pytest_netns")


def ask(*args: str, under: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*under, *CONSOLE, *args], check=False, capture_output=True, text=True)


def of(ns: NetNS) -> sessions.Found:
    (found,) = (one for one in sessions.find() if one.identity == (os.stat(ns.path).st_dev, ns.inode))
    return found


@pytest.fixture
def session() -> contextlib.closing[Session]:
    return contextlib.closing(Session(test=lambda: "test_it.py::test_it"))


def test_a_session_that_goes_on(session: contextlib.closing[Session]) -> None:
    with session as made:
        ns = made.namespace("a label", name=f"console-{os.getpid()}")
        program = ns.popen(["sleep", "1000"])
        found = of(ns)
        assert (found.pid, found.label, found.test) == (os.getpid(), "a label", "test_it.py::test_it")
        assert (found.is_kept, found.is_running) == (False, True)
        (inside,) = sessions.processes([found]).values()
        assert f"{program.pid} sleep 1000" in inside
        lines = ask("list").stdout
        assert re.search(
            rf"^{found.name} +a label +\d+ s +in use +test_it.py::test_it\n  {program.pid} ", lines, re.MULTILINE
        )
        for name in (found.name, str(ns.inode)):
            done = ask("shell", name, "--", "readlink", "/proc/self/ns/net")
            assert done.stdout == f"net:[{ns.inode}]\n"
        done = ask("end", found.name)
        assert (done.returncode, done.stdout) == (1, "")
        assert "cannot end it as long as its session goes on" in done.stderr
        assert program.poll() is None
    assert not [one for one in sessions.find() if one.pid == os.getpid() and one.label == "a label"]


def test_a_resident_child_that_has_taken_over_knows_what_there_is(session: contextlib.closing[Session]) -> None:
    with session as made:
        ns = made.namespace("a label")
        before = of(ns)
        end_resident(made)
        with ns.socket():
            pass
        assert of(ns)[1:6] == before[1:6]


def test_a_label_that_several_have(session: contextlib.closing[Session]) -> None:
    with session as made:
        label = f"twins of {os.getpid()}"
        names = [of(made.namespace(label)).name for _ in range(2)]
        done = ask("shell", label)
        assert done.returncode == 1
        assert done.stderr.startswith(
            f"pytest_netns: several are called {label!r}; give one of: {names[0]} ({label} of "
        )
        assert names[1] in done.stderr


@pytest.mark.parametrize(
    ("args", "status", "text"),
    [
        ((), 2, "usage: python -m pytest_netns [-h] COMMAND"),
        (("end",), 2, "give the names, or --all"),
        (("end", "x", "--all"), 2, "give the names, or --all"),
        (("shell", "there-is-none"), 1, "pytest_netns: no namespace of yours is called 'there-is-none'; there "),
        (("end", "there-is-none"), 1, "pytest_netns: no namespace of yours is called 'there-is-none'; there "),
    ],
)
def test_what_is_wrong(args: tuple[str, ...], status: int, text: str) -> None:
    done = ask(*args)
    assert done.returncode == status
    assert text in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("command", "status"), [("there-is-none-of-it", 127), ("/etc/hostname", 126)])
def test_a_command_that_cannot_run(session: contextlib.closing[Session], command: str, status: int) -> None:
    with session as made:
        done = ask("shell", of(made.namespace("x")).name, "--", command)
        assert done.returncode == status
        assert f"pytest_netns: cannot run {command!r}: " in done.stderr


def test_the_doctor() -> None:
    done = ask("doctor", "json")
    assert done.returncode == 0
    assert '"name": "verdict"' in done.stdout


def test_it_does_without_pytest_and_without_what_takes_long() -> None:
    program = "import sys; from pytest_netns._console.commands import main; main(['list']); print(*sorted(sys.modules))"
    loaded = output(sys.executable, "-c", program).splitlines()[-1].split()
    assert not {"pytest", "_pytest", "pyroute2", "asyncio", "subprocess", "multiprocessing"} & set(loaded)


@needs_root
def test_nobody_else_sees_it(session: contextlib.closing[Session]) -> None:
    with session as made:
        found = of(made.namespace("x"))
        parent, _, name = found.socket.partition(":")
        path = f"{parent}/pytest-netns-{proc.uid_outside()}/{name}"
        attempt = f"import socket; socket.socket(socket.AF_UNIX, 5).connect({path!r})"
        under = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all"]
        done = subprocess.run([*under, "/usr/bin/python3", "-c", attempt], check=False, capture_output=True, text=True)
        assert "PermissionError" in done.stderr


def test_an_asker_that_says_nothing_keeps_nobody_waiting(session: contextlib.closing[Session]) -> None:
    with session as made:
        ns = made.namespace("x")
        parent, _, name = of(ns).socket.partition(":")
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:
            silent.connect(f"{parent}/pytest-netns-{proc.uid_outside()}/{name}")
            with ns.socket():
                pass
            silent.send(b"nonsense")
            with ns.socket():
                pass
        assert of(ns)


def test_an_asker_may_not_ask_what_the_parent_may(session: contextlib.closing[Session]) -> None:
    with session as made:
        found = of(made.namespace("x"))
        with pytest.raises(NetNSError, match="cannot serve the request: KeyError"):
            sessions.ask(found.socket, fdpass.Received(), requests.FORGET, found.key)
        assert of(made.namespace("y"))
