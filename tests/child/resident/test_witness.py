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
TELLS = "import os\nos.write(int(sys.argv[3]), os.pread(int(sys.argv[2]), 100, 0) + sys.argv[8].encode())"
COUNTS = "import os\nos.write(int(sys.argv[3]), f'{sys.argv[5]} {len(sys.argv[6:]) // 3}'.encode())"


def look(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    program: str,
    seconds: float,
    test: bytes = b"test_it",
    count: int = 1,
    label: str = "lab",
) -> str:
    """Have a program look at namespaces; return what it has written, once nobody has the file locked."""
    path = folder / "program.py"
    path.write_text(f"import sys\n{program}")
    monkeypatch.setattr(witness, "PROGRAM", str(path))
    running, out = os.memfd_create("running"), os.memfd_create("out")
    reading = os.open(f"/proc/self/fd/{out}", os.O_RDWR)
    try:
        os.write(running, test)
        fcntl.flock(out, fcntl.LOCK_EX)
        copy = os.dup(out)  # as in a process that a test has forked
        namespaces = [Namespace(syscalls.open_own_namespace(), 0, None, (label, "")) for _ in range(count)]
        witness.Witness(seconds, [running, out]).look(namespaces)
        for one in namespaces:
            one.close()
        for fd in running, out:
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(fd)
        fcntl.flock(reading, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(copy)
        return os.pread(reading, 100, 0).decode()
    finally:
        os.close(reading)


def test_the_program_knows_the_test_and_the_namespaces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert look(tmp_path, monkeypatch, TELLS, 300) == "test_itlab"


@pytest.mark.parametrize("has_pidfd", [True, False])
def test_one_that_hangs_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_pidfd: bool) -> None:
    if not has_pidfd:
        monkeypatch.setattr(syscalls, "open_pidfd", lambda pid: None)  # as before Linux 5.3
    written = look(tmp_path, monkeypatch, HANGS, 1)
    assert not written or not is_running(int(written))  # a busy machine may not have started it in this time


def test_one_that_fails_and_one_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert look(tmp_path, monkeypatch, FAILS, 300) == ""
    monkeypatch.setattr(sys, "executable", "/nowhere")
    assert look(tmp_path, monkeypatch, TELLS, 300) == ""


def test_between_tests_none_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert look(tmp_path, monkeypatch, TELLS, 300, test=b"") == ""


def test_without_namespaces_none_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert look(tmp_path, monkeypatch, COUNTS, 300, count=0) == ""


def test_it_looks_at_no_more_than_it_has_time_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert look(tmp_path, monkeypatch, COUNTS, 300, count=witness.MOST) == f"0 {witness.MOST}"
    assert look(tmp_path, monkeypatch, COUNTS, 300, count=witness.MOST + 2) == f"2 {witness.MOST}"


def test_a_label_that_no_command_can_have(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert look(tmp_path, monkeypatch, TELLS, 300, label="a\0b") == ""


def test_without_a_pidfd_it_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syscalls, "open_pidfd", lambda pid: None)  # as before Linux 5.3
    assert look(tmp_path, monkeypatch, TELLS, 300) == "test_itlab"
