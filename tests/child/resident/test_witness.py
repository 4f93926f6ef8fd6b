"""What the resident child has looked at after the death of its parent: whatever becomes of the look, it ends."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

import pytest

from pytest_netns._child.resident import witness
from pytest_netns._child.resident.namespaces import Namespace
from pytest_netns._linux import syscalls
from tests.support.helpers import is_running

HANGS = "import os, signal\nos.write(int(sys.argv[3]), b'%d' % os.getpid())\nsignal.pause()"
FAILS = "raise SystemExit(1)"
TELLS = "import os\nos.write(int(sys.argv[3]), os.pread(int(sys.argv[2]), 100, 0) + sys.argv[7].encode())"


def look(folder: Path, monkeypatch: pytest.MonkeyPatch, program: str, seconds: float, test: bytes = b"test_it") -> str:
    """Have a program look at a namespace; return what it has written, once nobody has the file locked."""
    path = folder / "program.py"
    path.write_text(f"import sys\n{program}")
    monkeypatch.setattr(witness, "PROGRAM", str(path))
    running, out = os.memfd_create("running"), os.memfd_create("out")
    reading = os.open(f"/proc/self/fd/{out}", os.O_RDWR)
    try:
        os.write(running, test)
        fcntl.flock(out, fcntl.LOCK_EX)
        copy = os.dup(out)  # as in a process that a test has forked
        namespace = Namespace(syscalls.open_own_namespace(), 0, None, ("lab", ""))
        witness.Witness(seconds, [running, out]).look([namespace])
        namespace.close()
        fcntl.flock(reading, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(copy)
        return os.pread(reading, 100, 0).decode()
    finally:
        os.close(reading)


def test_the_program_knows_the_test_and_the_namespaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert look(tmp_path, monkeypatch, TELLS, 300) == "test_itlab"


def test_one_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = look(tmp_path, monkeypatch, HANGS, 1)
    assert not written or not is_running(int(written))  # a busy machine may not have started it in this time


def test_one_that_fails_and_one_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert look(tmp_path, monkeypatch, FAILS, 300) == ""
    monkeypatch.setattr(sys, "executable", "/nowhere")
    assert look(tmp_path, monkeypatch, TELLS, 300) == ""


def test_between_tests_none_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert look(tmp_path, monkeypatch, TELLS, 300, test=b"") == ""
