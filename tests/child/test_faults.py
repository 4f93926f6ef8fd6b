"""Every way a child can fail, at each step, in every mode: one clear error, nothing left, and the next call works."""

from __future__ import annotations

import errno
import gc
import multiprocessing
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from multiprocessing import forkserver
from pathlib import Path

import pytest

import pytest_netns
from pytest_netns import (
    ChildDiedError,
    ChildModeName,
    ChildProtocolError,
    NetNS,
    NetNSError,
    NetNSLimitError,
    NetNSPermissionError,
    NetNSTimeoutError,
    NetNSUnsupportedError,
)
from pytest_netns._child import job
from pytest_netns._child.reply import OK
from pytest_netns._child.resident import process
from pytest_netns._linux import run_netns
from pytest_netns._netns.factory import Session
from tests.support import sabotage
from tests.support.helpers import descriptors, end_resident, is_running
from tests.support.sabotaging import Sabotage, sabotaging  # noqa: F401 (a fixture)

FORKING: list[ChildModeName] = ["fork", "mp:fork", "mp:forkserver"]
MODES: list[ChildModeName] = ["resident", *FORKING, "mp:spawn"]
NOT_LONG = 0.5  # seconds to wait for a child that is certain not to answer

os.register_at_fork(after_in_child=lambda: sabotage.apply("forked"))


@pytest.fixture
def session(sabotaging: Sabotage) -> Iterator[Session]:
    """A session of its own, since its resident child is to fail."""
    made = Session()
    yield made
    made.close()


def expected(step: str, action: str) -> type[NetNSError] | None:
    if step == "end":
        return None  # it has answered
    if action in ("kill", "exit"):
        return ChildDiedError
    if action == "hang":
        return NetNSTimeoutError
    return {"EPERM": NetNSPermissionError, "ENOSYS": NetNSUnsupportedError}.get(action, NetNSLimitError)


FAULTS = [
    *[("start", action) for action in ("kill", "exit", "hang")],
    *[
        (step, action)
        for step in ("enter", "create", "send")
        for action in ("kill", "hang", "EPERM", "ENOSYS", "EMFILE", "ENOMEM")
    ],
    ("end", "kill"),
    ("end", "hang"),
]


@pytest.mark.parametrize(("step", "action"), FAULTS)
@pytest.mark.parametrize("mode", MODES)
def test_a_child_that_fails(
    session: Session, sabotaging: Sabotage, mode: ChildModeName, step: str, action: str
) -> None:
    ns = session.namespace("lab", child_mode=mode, child_timeout=NOT_LONG if action == "hang" else 60)
    if mode == "resident" and step == "start":
        end_resident(session)
    sabotaging(mode, step, action)
    held = descriptors()

    error = expected(step, action)
    if error is None:
        ns.socket().close()
    else:
        with pytest.raises(error) as raised:
            ns.socket()
        assert "namespace 'lab': " in str(raised.value)
        assert action not in errno.errorcode.values() or action in str(raised.value)

    if mode != "resident":
        assert descriptors() == held
        assert set(multiprocessing.active_children()) == set()
    sabotaging()
    ns.child_timeout = 60  # on a busy machine, a child that does not hang may start later than one that does is killed
    if mode == "resident":
        end_resident(session)
    with ns.socket() as sock:
        assert sock.family == socket.AF_INET
    ns.close()


JUNK = [b"", b"\0", b"\0?", b"\0-no", b"\0-x\0y\0z", b"\7" * 10, b"\0" + b"x" * 60_000]


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize("mode", ["fork", "mp:fork"])
def test_a_child_that_answers_garbage(
    netns: NetNS, monkeypatch: pytest.MonkeyPatch, mode: ChildModeName, junk: bytes
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(job, "reply", lambda channel, payload, fds: channel.send(junk))  # inherited by the child
        with pytest.raises(NetNSError) as raised:
            netns.socket(child_mode=mode)
    assert isinstance(raised.value, ChildProtocolError if junk else ChildDiedError)
    netns.socket(child_mode=mode).close()


@pytest.mark.parametrize("junk", JUNK)
def test_a_resident_child_that_answers_garbage(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, junk: bytes
) -> None:
    ns = session.namespace()
    end_resident(session)
    program = tmp_path / "junk.py"
    program.write_text(f"""
import array, os, socket, sys
control = socket.socket(fileno=int(sys.argv[1]))
while True:
    data, ancillary, *_ = control.recvmsg(65536, 1024)
    if data[1:2] == b"c":
        break
fd = array.array("i")
fd.frombytes(ancillary[0][2][:4])
channel = socket.socket(fileno=fd[0])
channel.recv(65536)
channel.send({junk!r})
channel.recv(1)
""")
    with monkeypatch.context() as patch:
        patch.setattr(process, "COMMAND", (sys.executable, "-I", "-S", str(program)))
        with pytest.raises(NetNSError) as raised:
            ns.socket()
    assert isinstance(raised.value, ChildProtocolError if junk else ChildDiedError)
    ns.socket().close()


@pytest.mark.parametrize("passed", ["nothing", "file", "two", "other"])
def test_a_child_that_passes_the_wrong_descriptors(netns: NetNS, monkeypatch: pytest.MonkeyPatch, passed: str) -> None:
    def wrong(self: job.MakeSockets, channel: socket.socket) -> object:
        fds = {"nothing": 0, "file": 1, "two": 2, "other": 1}[passed]
        made = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(fds)]
        if passed == "file":
            os.dup2(os.open("/dev/null", os.O_RDONLY), made[0].fileno())
        return OK, made

    with monkeypatch.context() as patch:
        patch.setattr(job.MakeSockets, "__call__", wrong)
        with pytest.raises(ChildProtocolError, match="namespace 'netns': the child passed"):
            netns.socket(child_mode="fork")
    netns.socket(child_mode="fork").close()


@pytest.mark.parametrize("mode", ["resident", "fork"])
def test_out_of_descriptors_at_every_step(session: Session, mode: ChildModeName) -> None:
    """With no descriptor to spare, then one, then two: an error each time, until there are enough."""
    netns = session.namespace()
    netns.socket(child_mode=mode).close()
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    errors: list[NetNSLimitError] = []
    for spare in range(20):
        before = descriptors()
        fillers = []
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (len(before) + 40, limits[1]))
            while True:
                try:
                    fillers.append(os.open("/dev/null", os.O_RDONLY))
                except OSError:
                    break
            for _ in range(spare):
                os.close(fillers.pop())
            try:
                netns.socket(child_mode=mode).close()
                break
            except NetNSLimitError as error:
                errors.append(error)
        finally:
            for fd in fillers:
                os.close(fd)
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert descriptors().items() <= before.items()  # a channel may have been given up
    else:
        pytest.fail("it never worked")
    assert errors
    for raised in errors:
        assert raised.errno == errno.EMFILE
        assert "raise the limit of open files (ulimit -n)" in str(raised)
    netns.socket(child_mode=mode).close()


@pytest.mark.parametrize(("step", "action"), [("unshare", a) for a in ("kill", "hang", "EPERM", "ENOSPC", "ENOSYS")])
def test_a_namespace_that_cannot_be_made(session: Session, sabotaging: Sabotage, step: str, action: str) -> None:
    first = session.namespace("first")
    sabotaging("resident", step, action)
    error = {"kill": ChildDiedError, "hang": NetNSTimeoutError, "ENOSPC": NetNSLimitError}.get(action)
    with pytest.raises(error or expected(step, action) or NetNSError, match="namespace 'lab': "):
        session.namespace("lab", lo=False, child_timeout=NOT_LONG if action == "hang" else 60)  # the spare one is up
    sabotaging()
    end_resident(session)
    first.socket().close()
    session.namespace("lab").close()


def test_a_limit_of_mounts_is_named(session: Session, sabotaging: Sabotage) -> None:
    """It holds for the whole machine, so it is not lowered here."""
    session.namespace(name=f"faults-{os.getpid()}-first").close()  # the directory is a shared mount from now on
    sabotaging("resident", "mount", "ENOSPC")
    with pytest.raises(NetNSLimitError) as raised:
        session.namespace("lab", name=f"faults-{os.getpid()}")
    assert "ENOSPC (No space left on device); raise the limit of mounts (sysctl fs.mount-max)" in str(raised.value)


@pytest.mark.parametrize("action", ["EPERM", "kill", "hang"])
def test_a_name_that_cannot_be_bound_leaves_no_file(session: Session, sabotaging: Sabotage, action: str) -> None:
    session.namespace(name=f"faults-{os.getpid()}-first").close()  # the directory is a shared mount from now on
    sabotaging("resident", "mount", action)
    name = f"faults-{os.getpid()}"
    with pytest.raises(NetNSError):
        session.namespace(name=name, child_timeout=NOT_LONG if action == "hang" else 60)
    assert name not in os.listdir("/run/netns")


@pytest.mark.parametrize("action", ["kill", "hang"])
def test_a_name_that_cannot_be_removed_at_first(session: Session, sabotaging: Sabotage, action: str) -> None:
    ns = session.namespace(name=f"faults-{os.getpid()}", child_timeout=NOT_LONG if action == "hang" else 60)
    sabotaging("resident", "umount", f"{action} once")
    ns.close()
    assert ns.name not in os.listdir("/run/netns")


def test_a_name_that_cannot_be_removed(session: Session, sabotaging: Sabotage) -> None:
    ns = session.namespace(name=f"faults-{os.getpid()}")
    sabotaging("resident", "umount", "kill")
    with pytest.raises(ChildDiedError):
        ns.close()
    assert ns.name in os.listdir("/run/netns")
    run_netns.remove(str(ns.name), lambda path: True)


def test_a_name_that_is_taken(make_netns: Callable[..., NetNS]) -> None:
    first = make_netns(name=f"faults-{os.getpid()}")
    with pytest.raises(pytest_netns.NetNSExistsError) as raised:
        make_netns(name=f"faults-{os.getpid()}")
    assert str(raised.value) == (
        f"[Errno 17] namespace {first.name!r}: cannot bind the name {first.name}: EEXIST (File exists); "
        "choose another name, or remove what has it (ip netns del) if nothing uses it any more"
    )
    first.close()
    make_netns(name=f"faults-{os.getpid()}").close()


@pytest.mark.slow
def test_the_limit_of_namespaces(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        from pathlib import Path
        import pytest
        from pytest_netns import NetNSLimitError

        def test_limit(make_netns):
            first = make_netns()
            Path("/proc/sys/user/max_net_namespaces").write_text("3")  # of this user namespace; one of them is home
            second = make_netns()
            with pytest.raises(NetNSLimitError) as raised:
                make_netns("third")
            assert str(raised.value) == (
                "[Errno 28] namespace 'third': cannot create the namespace: ENOSPC (No space left on device); "
                "sysctl -w user.max_net_namespaces=10000, here and in the user namespaces around this one, or close "
                "namespaces earlier")
            Path("/proc/sys/user/max_net_namespaces").write_text("4")
            make_netns()
    """)
    unshare = ["unshare", "--user", "--map-root-user", sys.executable, "-m", "pytest", "-p", "no:cacheprovider"]
    result = pytester.run(*unshare)
    result.assert_outcomes(passed=1)


@pytest.mark.slow
def test_without_the_privilege(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_x(netns): pass")
    command = ["setpriv", "--bounding-set=-sys_admin", sys.executable, "-m", "pytest"]
    pytester.run(*command).assert_outcomes(passed=1)  # by a user namespace
    result = pytester.run(*command, "--netns-userns=off")
    result.assert_outcomes(errors=1)
    assert (
        "NetNSPermissionError: [Errno 1] namespace 'netns': cannot create a namespace without privilege, nor a user "
        "namespace that gives it: EPERM (Operation not permitted); run pytest as root or with CAP_SYS_ADMIN, "
        "CAP_NET_ADMIN and CAP_NET_RAW"
    ) in result.stdout.str()


def test_a_stopped_resident_child_is_replaced(session: Session) -> None:
    ns = session.namespace("lab", child_timeout=NOT_LONG)
    pid = session.modes.resident.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    with pytest.raises(NetNSTimeoutError) as raised:
        ns.socket()
    assert str(raised.value) == (
        f"[Errno 110] namespace 'lab': the resident child did not answer within {NOT_LONG} s and was killed; "
        "if the machine is just slow, raise --netns-child-timeout"
    )
    assert not is_running(pid)
    ns.socket().close()
    assert session.modes.resident.pid not in (pid, None)


def test_a_stopped_fork_server_is_replaced(session: Session) -> None:
    ns = session.namespace("lab", child_mode="mp:forkserver", child_timeout=60)
    ns.socket().close()
    pid = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]
    os.kill(pid, signal.SIGSTOP)
    ns.child_timeout = NOT_LONG
    held = descriptors()
    with pytest.raises(NetNSTimeoutError, match="the mp:forkserver child did not start within") as raised:
        ns.socket()
    assert descriptors() == held  # while somebody has the error
    del raised
    ns.child_timeout = 60
    ns.socket().close()
    assert not multiprocessing.active_children()


@pytest.mark.parametrize("mode", MODES)
def test_a_program_that_ignores_its_children(make_netns: Callable[..., NetNS], mode: ChildModeName) -> None:
    """Then the kernel reaps them, and wait(2) knows of none."""
    ns = make_netns(child_mode=mode)
    ns.socket().close()
    before = descriptors()
    handler = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        for _ in range(3):
            ns.create_server(("127.0.0.1", 80)).close()
        assert ns.popen(["sleep", "1000"]).pid
        ns.close()
    finally:
        signal.signal(signal.SIGCHLD, handler)
    gc.collect()
    assert len(descriptors()) <= len(before)
    assert not multiprocessing.active_children()
