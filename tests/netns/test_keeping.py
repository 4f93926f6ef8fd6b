"""What is kept of a session that ends, as the session sees it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys

import pytest

from pytest_netns import NetNSError
from pytest_netns._console import sessions
from pytest_netns._netns import keeping
from pytest_netns._netns.factory import Session
from tests.support.helpers import descriptors, eventually, is_running

# In a process of its own, since what is kept is left to whoever reaps it.
PROGRAM = """
import sys
from pytest_netns._netns import keeping
from pytest_netns._netns.factory import Session

keeping.LIFETIME = float(sys.argv[1])
session = Session(keeps=True)
before, during = session.namespace("before"), session.namespace("during")
before.close()
session.keeping.failed("the test")
after = session.namespace("after")
program = during.popen(["sleep", "1000"])
during.close()
after.close()
(kept,) = session.hand_over()
session.close()
print(program.pid, session.hand_over(), kept.test, *(label for _, label in kept.namespaces))
"""


def test_it_ends_by_itself() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, "0.2"], check=True, capture_output=True, text=True)
    pid, rest = done.stdout.split(" ", 1)
    assert rest == "[] the test during\n"
    eventually(lambda: not is_running(int(pid)), "the end of the program")
    eventually(lambda: not [one for one in sessions.find() if one.label == "during" and one.is_kept], "its end")


def test_a_session_that_cannot_hand_over_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    before = descriptors()
    with contextlib.closing(Session(keeps=True)) as session:
        ns = session.namespace("ns")
        program = ns.popen(["sleep", "1000"], stdout=subprocess.PIPE)
        session.keeping.failed("the test")
        ns.close()
        assert program.poll() is None
        assert program.pid in session.pids()
        assert program.stdout is not None
        assert program.stdout.fileno() in session.descriptors()
        with pytest.raises(OSError, match="is closed"):
            ns.socket()

        def refuse(*_: object) -> None:
            raise NetNSError("no")

        monkeypatch.setattr(session.modes.resident, "stay", refuse)
        with pytest.raises(NetNSError, match="no"):
            session.hand_over()
    assert program.poll() is not None
    assert descriptors() == before


def test_a_session_that_does_not_keep(monkeypatch: pytest.MonkeyPatch) -> None:
    with contextlib.closing(Session()) as session:
        ns = session.namespace()
        program = ns.popen(["sleep", "1000"])
        session.keeping.failed("the test")
        ns.close()
        assert program.poll() is not None
        assert session.hand_over() == []


def test_the_bound_is_of_tests_and_not_of_namespaces() -> None:
    with contextlib.closing(Session(keeps=True)) as session:
        for number in range(keeping.MOST_TESTS + 1):
            several = [session.namespace() for _ in range(3)]
            session.keeping.failed(f"test {number}")
            for ns in several:
                ns.close()
        kept = {one.label for one in sessions.find() if one.pid == os.getpid()}
        assert len([label for label in kept if label.startswith("netns")]) >= 3 * keeping.MOST_TESTS
        assert session.keeping.left_out == {f"test {keeping.MOST_TESTS}"}
