"""A shell in a namespace, on a terminal that is made for the test."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_netns import NetNS
from pytest_netns._netns.shell import interactive
from tests.support.helpers import eventually

pytestmark = pytest.mark.slow

# Its own session, of which the terminal is that on stdin.
LEADER = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""
SUITE = """
def test_shell(netns_pair):
    print("said in the test")
    status = netns_pair.left.shell()
    with open("status", "w") as file:
        file.write(f"{status} {input_is_there()}")

def input_is_there():
    import os
    with open("/dev/tty") as terminal:
        return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
"""


def environment(**variables: str) -> dict[str, str]:
    """Return the environment of a run that is no worker, though this one may be."""
    return {name: value for name, value in {**os.environ, **variables}.items() if name != "PYTEST_XDIST_WORKER"}


class Terminal:
    """A terminal, with what is on its screen so far."""

    def __init__(self, controller: int) -> None:
        self._controller = controller
        self.screen = ""

    def type(self, text: str) -> None:
        os.write(self._controller, text.encode())

    def shows(self, text: str) -> bool:
        with contextlib.suppress(OSError):  # nothing yet, or nobody has it open any more
            while chunk := os.read(self._controller, 65536):
                self.screen += chunk.decode(errors="replace")
        return text in self.screen

    def wait(self, text: str) -> None:
        try:
            eventually(lambda: self.shows(text), f"{text!r} on the screen")
        except AssertionError:
            print(repr(self.screen))
            raise


Start = Callable[..., "tuple[subprocess.Popen[bytes], Terminal]"]


@pytest.fixture
def start(pytester: pytest.Pytester) -> Iterator[Start]:
    """Start pytest on a terminal of its own."""
    with contextlib.ExitStack() as undo:

        def start(suite: str, *options: str, shell: str = "/bin/sh") -> tuple[subprocess.Popen[bytes], Terminal]:
            pytester.makepyfile(suite)
            controller, terminal = os.openpty()
            undo.callback(os.close, controller)
            os.set_blocking(controller, False)
            command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
            process = subprocess.Popen(
                [sys.executable, "-c", LEADER, *command],
                stdin=terminal,
                stdout=terminal,
                stderr=terminal,
                cwd=pytester.path,
                env=environment(SHELL=shell, HOME=str(pytester.path), TERM="dumb"),
            )
            os.close(terminal)
            undo.callback(process.wait)
            undo.callback(process.kill)
            return process, Terminal(controller)

        yield start


@pytest.mark.parametrize("shell", ["/bin/sh", "/bin/bash"])
def test_a_shell_in_a_test_whose_output_is_captured(start: Start, pytester: pytest.Pytester, shell: str) -> None:
    if not os.path.exists(shell):
        pytest.skip(f"there is no {shell}")
    process, terminal = start(SUITE, shell=shell)
    terminal.wait("[left] ")
    terminal.type("getent hosts right | tr a-z A-Z; exit 7\n")
    terminal.wait("RIGHT")
    eventually(lambda: terminal.shows("1 passed") or process.poll() is not None, "the end of the run")
    assert (pytester.path / "status").read_text() == "7 True"
    assert terminal.screen.count("said in the test") == 0


def test_a_shell_that_is_killed_gives_the_terminal_back(start: Start, pytester: pytest.Pytester) -> None:
    process, terminal = start(SUITE)
    terminal.wait("[left] ")
    terminal.type("kill -9 $$\n")
    eventually(lambda: terminal.shows("1 passed") or process.poll() is not None, "the end of the run")
    assert (pytester.path / "status").read_text() == f"{-signal.SIGKILL} True"


def test_in_pdb(start: Start) -> None:
    process, terminal = start("def test(netns):\n    breakpoint()\n    assert netns.inode")
    terminal.wait("(Pdb) ")
    terminal.type("netns.shell()\n")
    terminal.wait("[netns] ")
    terminal.type("readlink /proc/self/ns/net | tr t T\n")
    terminal.wait("neT:[")
    terminal.type("exit 3\n")
    terminal.wait("3\r\n(Pdb) ")  # after the prompt of the shell, if that was slower than what is typed
    terminal.type("print('still', 'here')\n")
    terminal.wait("still here")
    terminal.type("c\n")
    eventually(lambda: terminal.shows("1 passed") or process.poll() is not None, "the end of the run")
    assert "1 passed" in terminal.screen


NO_TERMINAL = "def test(netns):\n    netns.shell()"


def test_without_a_terminal(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(NO_TERMINAL)
    command = ["setsid", "--wait", sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=pytester.path, env=environment(), check=False, stdout=subprocess.PIPE, text=True)
    assert "namespace 'netns': there is no terminal for a shell; start pytest from one" in done.stdout


def test_in_a_worker(start: Start) -> None:
    pytest.importorskip("xdist")
    process, terminal = start(NO_TERMINAL, "-n1")
    eventually(lambda: terminal.shows("1 failed") or process.poll() is not None, "the end of the run")
    assert "a worker of pytest-xdist has no terminal for a shell; run the test without -n" in terminal.screen


def test_a_label_cannot_command_the_shell(tmp_path: Path) -> None:
    fds: list[int] = []
    command, env = interactive(f"$(touch {tmp_path}/made)`touch {tmp_path}/made`\\u'", fds)
    for fd in fds:
        os.close(fd)
    assert not set("$`\\'(") & set(env["PS1"].removesuffix("$ "))
    assert command


def test_a_shell_that_is_no_program(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("", "sh", "/there/is/none"):
        monkeypatch.setenv("SHELL", name)
        assert interactive("x", [])[0] == ["/bin/sh", "-i"]


def test_a_closed_namespace(make_netns: Callable[..., NetNS]) -> None:
    ns = make_netns()
    ns.close()
    with pytest.raises(OSError, match="is closed"):
        ns.shell()
