"""Namespaces without privilege: the resident child makes them in a user namespace of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_netns import NetNS, NetNSExistsError, NetNSPermissionError
from pytest_netns._child.resident import record
from pytest_netns._linux import syscalls
from pytest_netns._netns.factory import Session
from tests.support.helpers import eventually, is_running, named_namespaces, needs_privilege
from tests.support.ordinary_user import LAB, Start, denied, place, start
from tests.support.suites import read_suite

__all__ = ["place", "start"]  # fixtures

pytestmark = pytest.mark.core


@pytest.fixture
def session() -> Iterator[Session]:
    """A session whose resident child has a user namespace, although it could do without."""
    made = Session(userns="resident")
    yield made
    made.close()


@pytest.fixture
def ns(session: Session) -> NetNS:
    return session.namespace("lab")


def test_the_namespace_belongs_to_another_user_namespace(ns: NetNS) -> None:
    assert syscalls.is_owned_below(ns.fileno())


@needs_privilege
def test_off_and_auto_make_none_for_the_privileged() -> None:
    for userns in ("off", "auto"):
        session = Session(userns=userns)
        try:
            assert not syscalls.is_owned_below(session.namespace().fileno())
        finally:
            session.close()


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [
        (["readlink", "/proc/self/ns/net"], {"capture_output": True}),
        ("echo $0 $A >&2; exit 3", {"shell": True, "capture_output": True, "env": {"A": "b", "PATH": "/usr/bin:/bin"}}),
        (["sh", "-c", "id -u; pwd"], {"capture_output": True, "text": True, "cwd": "/usr"}),
        (["another name", "-c", "exit 3"], {"executable": "/bin/sh"}),
    ],
)
def test_commands(ns: NetNS, args: Any, kwargs: dict[str, Any]) -> None:
    ours = ns.run(args, **kwargs)
    theirs = subprocess.run(args, **kwargs)
    assert ours.args == args
    assert ours.returncode == theirs.returncode
    assert ours.stderr == theirs.stderr
    if "readlink" in args:
        assert ours.stdout.strip() == f"net:[{ns.inode}]".encode()


@pytest.mark.parametrize(
    ("command", "error"),
    [("no-such-command", FileNotFoundError), ("/no/such", FileNotFoundError), ("/etc/passwd", PermissionError)],
)
def test_a_command_that_is_none(ns: NetNS, command: str, error: type[OSError]) -> None:
    with pytest.raises(error) as theirs:
        subprocess.run([command], check=False)
    with pytest.raises(error) as ours:
        ns.run([command])
    assert str(ours.value) == str(theirs.value)


def test_commands_are_ended(ns: NetNS) -> None:
    script = "setsid sleep 1000 <&- >&- 2>&- & echo $!; exec sleep 1000"
    process = ns.popen(["sh", "-c", script], stdout=subprocess.PIPE)
    assert process.stdout is not None
    daemon = int(process.stdout.readline())
    ns.close()
    assert process.returncode == -signal.SIGTERM
    assert not is_running(daemon)


def test_another_resident_child_joins_the_user_namespace_of_the_first(session: Session, ns: NetNS) -> None:
    pid = session.modes.resident.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: not is_running(pid), "it is dead")
    ns.socket(socket.AF_PACKET, socket.SOCK_RAW)
    other = session.namespace("other")
    ns.ipr.link("add", ifname="eth0", kind="veth", peer={"ifname": "eth0", "net_ns_fd": other.fileno()})
    assert {os.stat(f"/proc/self/fd/{fd}").st_ino for fd in (ns.fileno(), other.fileno())} == {ns.inode, other.inode}


def test_host_names(ns: NetNS, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(syscalls, "setns", None)  # as where no thread can be inside
    ns.ipr.link("add", ifname="only-here", kind="bridge", state="up")
    (index,) = ns.ipr.link_lookup(ifname="only-here")
    ns.ipr.addr("add", index=index, address="fe80::1", prefixlen=64, flags=2)  # IFA_F_NODAD
    with ns.create_server(("localhost", 80)):
        hosts: list[Any] = ["localhost", b"localhost", "127.0.0.1"]
        for host in hosts:
            ns.create_connection((host, 80), source_address=("localhost", 0)).close()
    with ns.create_server(("::", 80), family=socket.AF_INET6):
        ns.create_connection(("fe80::1%only-here", 80)).close()
    for act in (ns.create_server, ns.create_connection):
        with pytest.raises(socket.gaierror):
            act(("no-such-host.invalid", 80))


def names_seen_by(ns: NetNS) -> list[str]:
    done: subprocess.CompletedProcess[str] = ns.run(["ls", "/run/netns"], stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout.split()


def test_names_are_seen_by_commands_alone(session: Session, ns: NetNS) -> None:
    named = session.namespace(name="lab")
    assert names_seen_by(ns) == ["lab"]
    assert "lab" not in named_namespaces()
    with pytest.raises(NetNSExistsError):
        session.namespace(name="lab")
    assert names_seen_by(named) == ["lab"]
    named.close()
    assert names_seen_by(ns) == []
    session.namespace(name="lab").close()


def test_commands_that_see_names_are_where_they_should_be(session: Session, tmp_path: Path) -> None:
    named = session.namespace(name="lab")
    for cwd in (None, tmp_path, "tests"):
        for shell in (False, True):
            done = named.run("pwd" if shell else ["pwd", "-P"], cwd=cwd, shell=shell, stdout=subprocess.PIPE, text=True)
            assert done.stdout.strip() == os.path.realpath(cwd or ".")
    script = 'echo "$0" "$1"; exit 3'
    done = named.run(["a name", "-c", script, "b  c", "-d"], executable="/bin/sh", stdout=subprocess.PIPE, text=True)
    assert (done.stdout, done.returncode) == ("b  c -d\n", 3)
    with pytest.raises(FileNotFoundError):
        named.run(["no-such-command"])


def test_another_resident_child_knows_the_names(session: Session, ns: NetNS) -> None:
    named = session.namespace(name="lab")
    pid = session.modes.resident.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    other = session.namespace(name="other")
    assert sorted(names_seen_by(ns)) == ["lab", "other"]
    named.close()
    assert names_seen_by(ns) == ["other"]
    other.close()


def test_the_cookie_is_asked_by_way_of_the_user_namespace(ns: NetNS) -> None:
    assert record.cookie_of(ns.fileno()) == ns.call(syscalls.namespace_cookie, child_mode="fork")


SUITE = read_suite(__file__, "rootless")


def test_a_suite_of_an_ordinary_user(start: Start) -> None:
    out, _ = start(SUITE, "-q").communicate()
    assert " passed" in out.splitlines()[-1], out
    assert "failed" not in out.splitlines()[-1], out
    assert "error" not in out.splitlines()[-1], out


def test_without_mounts_only_names_are_missing(start: Start) -> None:
    out, _ = start(SUITE, under=denied("mount")).communicate()
    assert " 1 failed, " in out.splitlines()[-1], out
    assert "cannot make a directory of names, without privilege over /run/netns: EPERM" in out


NAMES = """
    from pytest_netns._netns.names import Names

    def test_names_and_assertions(netns_pair):
        left, right = netns_pair
        names = Names({"server": ("192.0.2.2", "2001:db8::2")})
        for ns in netns_pair:
            ns._set_names(names)
        assert left.reach("server") > 0
        with right.create_server(("server", 80)):
            assert left.reach("server", 80) > 0
        left.blocked("server", 81, by="reset")
        print(left.run(["cat", "/etc/hosts"], capture_output=True, text=True, check=True).stdout)
"""


@pytest.mark.parametrize("userns", ["resident", "process"])
def test_names_and_assertions_of_an_ordinary_user(start: Start, userns: str) -> None:
    out, _ = start(NAMES, "-s", f"--netns-userns={userns}").communicate()
    assert "192.0.2.2\tserver\n" in out
    assert " 1 passed in " in out.splitlines()[-1], out


def test_without_mounts_only_commands_find_no_names(start: Start) -> None:
    out, _ = start(NAMES, "-s", under=denied("mount")).communicate()
    assert "\tserver\n" not in out
    assert " 1 passed, 1 warning in " in out.splitlines()[-1], out
    assert (
        "commands did not find the hosts of a network by name: namespace 'left': cannot mount files of /etc" in out
    ), out


def test_off_says_what_is_missing(start: Start) -> None:
    out, _ = start(SUITE, "-k", "test_sysctl", "--netns-userns=off").communicate()
    assert "cannot create a namespace without privilege, nor a user namespace that gives it: EPERM" in out


@pytest.mark.parametrize("userns", ["resident", "process"])
@pytest.mark.parametrize("both", [False, True])
def test_sigkill_leaves_nothing(start: Start, place: Path, both: bool, userns: str) -> None:
    option = f"--netns-userns={userns}"
    run = start(LAB, option)
    report = place / "home" / "report"
    eventually(lambda: report.exists() or run.poll() is not None, "the lab is up")
    assert report.exists(), run.communicate()[0]
    pids = json.loads(report.read_text())
    report.unlink()
    for pid in (pids["pytest"], pids["resident"])[: 1 + both]:
        os.kill(pid, signal.SIGSTOP)
    for pid in (pids["pytest"], pids["resident"])[: 1 + both]:
        os.kill(pid, signal.SIGKILL)
    run.wait()
    if both:
        eventually(lambda: not is_running(pids["resident"]), "the resident child is dead")
        assert start(LAB, "-k", "test_after", option).wait() == 0
    eventually(lambda: not any(is_running(pid) for pid in pids.values()), "nothing is left")


@pytest.mark.parametrize("value", ["yes", "root"])
def test_a_wrong_choice(pytester: pytest.Pytester, value: str) -> None:
    result = pytester.runpytest(f"--netns-userns={value}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        [f"ERROR: --netns-userns: '{value}' is not valid; valid are: auto, off, resident, process"]
    )


def test_the_error_of_a_thread_says_what_to_do(ns: NetNS, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "as without privilege")

    monkeypatch.setattr(syscalls, "setns", refuse)
    with pytest.raises(NetNSPermissionError, match="belongs to the user namespace of the resident child"):
        ns.call(os.getpid)
