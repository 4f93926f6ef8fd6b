"""The start of the resident child: what is wrong when it starts is not kept, waited for, or lost for ever."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

import pytest_netns
from pytest_netns import ChildDiedError, NetNS
from pytest_netns._child.resident.directory import parents
from pytest_netns._child.resident.record import cookie_of
from pytest_netns._linux import syscalls
from pytest_netns._netns import resolver
from pytest_netns._netns.factory import Session
from tests.linux.test_id_maps import ORDINARY, lending
from tests.support.helpers import descriptors, eventually, is_running
from tests.support.ordinary_user import UID, Start, needs_root, place, start
from tests.support.suites import read_suite

__all__ = ["place", "start"]  # fixtures


def run(program: str, *arguments: str, under: Sequence[str] = (), **env: str) -> list[str]:
    """Run a program and return the lines of its output."""
    done = subprocess.run(
        [*under, sys.executable, "-c", textwrap.dedent(program), *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **env},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


# What passes

LIMITS = """
    import errno, os, signal, sys
    from pytest_netns import NetNSLimitError
    from pytest_netns._netns.factory import Session

    def limit(kind, number):
        with open(f"/proc/sys/user/max_{kind}_namespaces", "w") as file:
            file.write(str(number))

    def refused(ask):
        try:
            ask()
        except NetNSLimitError as error:
            assert error.errno == errno.ENOSPC, error
            print("refused")
"""


@pytest.mark.parametrize(("userns", "kind"), [("resident", "user"), ("resident", "net"), ("auto", "net")])
def test_a_limit_that_is_lifted(userns: str, kind: str) -> None:
    program = """
    session = Session(userns=sys.argv[1])
    limit(sys.argv[2], 0)
    for _ in range(3):
        refused(session.namespace)
    limit(sys.argv[2], 1000)
    session.namespace().socket().close()
    print("made")
    session.close()
    print(os.getpid())
    """
    *found, pid = run(LIMITS + program, userns, kind, under=["unshare", "-Ur"])
    assert found == ["refused"] * 3 + ["made"]
    for parent in parents():
        assert not list(Path(parent).glob(f"pytest-netns-*/*-{pid}-*"))


@pytest.mark.slow
def test_a_limit_that_a_child_which_takes_over_meets() -> None:
    """It needs a namespace to be in, and there is no way to serve those of the child before without."""
    program = """
    session = Session(userns="resident", child_timeout=10)
    ns = session.namespace()
    limit("net", 0)
    os.kill(session.modes.resident.pid, signal.SIGKILL)
    refused(ns.socket)
    refused(session.namespace)
    limit("net", 1000)
    ns.socket().close()
    session.namespace().socket().close()
    print("served")
    session.close()
    """
    assert run(LIMITS + program, under=["unshare", "-Ur"]) == ["refused", "refused", "served"]


def test_what_does_not_pass_is_told_by_the_same_child() -> None:
    program = """
    from pytest_netns import NetNSPermissionError
    from pytest_netns._netns.factory import Session
    session = Session(userns="off")
    pids = set()
    for _ in range(3):
        try:
            session.namespace()
        except NetNSPermissionError:
            pids |= session.pids()
    print(len(pids))
    session.close()
    """
    assert run(program, under=["setpriv", "--bounding-set=-all", "--inh-caps=-all"]) == ["1"]


# Who is not told of the end of children

IGNORING = [
    sys.executable,
    "-c",
    "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execvp(sys.argv[1], sys.argv[1:])",
]


@pytest.fixture
def ignored() -> Iterator[None]:
    saved = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    yield
    signal.signal(signal.SIGCHLD, saved)


@pytest.mark.slow
@pytest.mark.parametrize("options", [("--netns-userns=resident",), ("--netns-userns=process",), ("-n1",)])
def test_a_suite_under_a_supervisor_that_ignores_sigchld(start: Start, options: tuple[str, ...]) -> None:
    suite = """
        import signal

        def test_it(netns):
            assert signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN
            netns.create_server(("127.0.0.1", 80))
            assert netns.run(["ip", "link"], capture_output=True).stdout
    """
    out, _ = start(suite, *options, under=IGNORING).communicate()
    assert " 1 passed" in out.splitlines()[-1], out


@pytest.mark.parametrize("name", ["netns", "users", "ptrace", "journal"])
def test_the_doctor_under_a_supervisor_that_ignores_sigchld(name: str) -> None:
    program = (
        "import sys; from pytest_netns._doctor.findings import Doctor; print(Doctor().look(sys.argv[1:])[0].cause)"
    )
    assert run(program, name, under=IGNORING) == run(program, name)


def test_the_cookie_of_a_namespace_where_sigchld_is_ignored(netns: NetNS, ignored: None) -> None:
    with netns.enter():
        cookie = syscalls.namespace_cookie()
    assert cookie_of(netns.fileno()) == cookie


def test_a_child_whose_exit_status_nobody_is_told(ignored: None) -> None:
    session = Session()
    try:
        session.namespace()
        pid = session.modes.resident.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(Exception, match="did not answer") as caught:
            session.namespace(child_timeout=0.2)
        assert "exit status 0" not in str(caught.value)
        session.namespace().socket().close()
    finally:
        session.close()


def test_a_lookup_whose_program_ends_without_an_answer(ignored: None) -> None:
    assert resolver.by_program(subprocess.run, "127.0.0.1", 80, 0, socket.SOCK_STREAM)[0][-1] == ("127.0.0.1", 80)

    def fail(command: object, **how: object) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([sys.executable, "-c", "raise SystemExit(3)"], stdout=subprocess.PIPE, check=False)

    with pytest.raises(ChildDiedError, match="the program that looks it up ended and was reaped by somebody else"):
        resolver.by_program(fail, "127.0.0.1", 80)


def test_the_doctor_when_its_program_ends_without_an_answer() -> None:
    program = """
        import subprocess, sys
        from pytest_netns import ChildDiedError
        from pytest_netns._doctor.findings import Doctor
        sys.path[:] = []  # so that the program does not find what it needs
        try:
            Doctor().look(["netns"])
        except ChildDiedError as error:
            print(error)
    """
    text = "[Errno 10] the doctor's program ended {}, with nothing found; see stderr"
    assert run(program) == [text.format("with exit status 1")]
    assert run(program, under=IGNORING) == [text.format("and was reaped by somebody else")]


# Who lends users, and does not answer


@pytest.fixture
def hanging(place: Path) -> Iterator[Path]:
    """A newuidmap(1) that never ends; return its folder, where it writes its pid."""
    folder = place / "home" / "bin"
    folder.mkdir()
    os.chown(folder, UID, UID)
    for tool in ("newuidmap", "newgidmap"):
        (folder / tool).write_text(f'#!/bin/sh\necho $$ >> "{folder}/pids"\nexec sleep 1000\n')
        (folder / tool).chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def hung(folder: Path) -> list[int]:
    return [int(pid) for pid in (folder / "pids").read_text().split()]


@pytest.mark.slow
@needs_root
@pytest.mark.parametrize("userns", ["resident", "process"])
def test_a_newuidmap_that_hangs_is_ended_and_root_is_alone(
    start: Start, tmp_path: Path, hanging: Path, userns: str
) -> None:
    suite = f"""
        import subprocess

        def test_maps(netns):
            maps = netns.run(["cat", "/proc/self/uid_map"], stdout=subprocess.PIPE).stdout
            assert maps.split() == [b"0", b"{UID}", b"1"]
    """
    under = lending(tmp_path, "nobody:300000:65536\n")
    path = f"{hanging}:{os.environ['PATH']}"
    out, _ = start(suite, f"--netns-userns={userns}", under=under, user=ORDINARY, PATH=path).communicate()
    assert " 1 passed" in out.splitlines()[-1], out
    assert hung(hanging)
    eventually(lambda: not any(map(is_running, hung(hanging))), "what hung is ended")


@pytest.mark.slow
@needs_root
def test_the_doctor_says_that_it_hangs(start: Start, tmp_path: Path, hanging: Path) -> None:
    under = lending(tmp_path, "nobody:300000:65536\n")
    path = f"{hanging}:{os.environ['PATH']}"
    out, _ = start("", "--netns-doctor=json", under=under, user=ORDINARY, PATH=path).communicate()
    found = {found["name"]: found for found in json.loads(out)}
    assert found["netns"]["ok"]
    assert "nobody was lent to it in 5 s" in found["users"]["cause"]
    assert "newuidmap(1)" in found["users"]["remedy"]
    eventually(lambda: not any(map(is_running, hung(hanging))), "what hung is ended")


# What is left when it fails


FEW = read_suite(__file__, "start_few")


def test_a_start_that_fails_for_lack_of_descriptors_leaves_none() -> None:
    assert run(FEW) == ["True"]


def test_a_start_that_fails_as_there_is_no_program_leaves_no_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_netns._child.resident import process

    session = Session()
    before = descriptors()
    try:
        with monkeypatch.context() as patch:
            patch.setattr(process, "COMMAND", ("/nowhere/python", "program"))
            for _ in range(3):
                with pytest.raises(Exception, match="cannot start the resident child"):
                    session.namespace()
        assert descriptors() == before
        session.namespace().socket().close()
    finally:
        session.close()


# What it writes


@pytest.fixture
def install(tmp_path: Path) -> Callable[[], list[Path]]:
    """A copy of the package without byte code; return a function that says what there is of that now."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(pytest_netns.__file__).parent, tmp_path / "copy" / "pytest_netns", ignore=ignored)
    return lambda: sorted((tmp_path / "copy").rglob("*.pyc"))


STARTS = """
    import sys
    sys.path.insert(0, sys.argv[1])
    import pytest_netns
    assert pytest_netns.__file__.startswith(sys.argv[1])
    from pytest_netns._doctor.findings import Doctor
    from pytest_netns._netns.factory import Session
    session = Session()
    session.namespace().socket().close()
    session.close()
    Doctor().look(["netns"])
"""


def test_no_byte_code_is_written_where_none_is_wanted(tmp_path: Path, install: Callable[[], list[Path]]) -> None:
    run(STARTS, str(tmp_path / "copy"), PYTHONDONTWRITEBYTECODE="1", PYTHONPYCACHEPREFIX="")
    assert install() == []


@pytest.mark.slow
def test_byte_code_is_written_where_it_is_wanted(tmp_path: Path, install: Callable[[], list[Path]]) -> None:
    prefix = tmp_path / "cache"
    run(STARTS, str(tmp_path / "copy"), PYTHONDONTWRITEBYTECODE="", PYTHONPYCACHEPREFIX=str(prefix))
    assert install() == []
    assert list(prefix.rglob("server.*.pyc"))  # which only the resident child imports
    assert list(prefix.rglob("probes.*.pyc"))  # which only the doctor's program imports
