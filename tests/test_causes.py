"""What to do next about a step that failed: each cause is made for real, and the next step is tried where it can be."""

from __future__ import annotations

import contextlib
import errno
import json
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_netns import ChildModeName, NetNS, NetNSLimitError, _causes
from tests.support.suites import read_suite

PROGRAM = """
import sys
from pytest_netns._netns.factory import Session

session = Session(userns=sys.argv[1])
try:
    exec(sys.argv[2])
    print("it works")
except Exception as error:
    print(f"{type(error).__name__}: {error}")
finally:
    session.close()
"""
USER = ("unshare", "-Ur")
MOUNTS = ("unshare", "-m")
TMPFS = "mount -t tmpfs tmpfs /run && mkdir /run/netns && mount -t tmpfs"


def outcome(code: str, first: str, *, under: tuple[str, ...] = USER, userns: str = "auto") -> str:
    """Return what comes of code where a shell command has changed the machine, for the code alone."""
    command = [*under, "sh", "-c", f'{first} && exec "$@"', "sh", sys.executable, "-c", PROGRAM, userns, code]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


@pytest.mark.parametrize(
    ("kind", "step", "code", "userns"),
    [
        ("net", "create the namespace", "session.namespace('lab')", "auto"),
        ("net", "create the namespace", "session.namespace('lab')", "resident"),
        (
            "user",
            "create a namespace without privilege, nor a user namespace that gives it",
            "session.namespace('lab')",
            "resident",
        ),
        (
            "mnt",
            "make a mount namespace for names, without privilege over /run/netns",
            "session.namespace('lab', name='lab')",
            "resident",
        ),
    ],
)
def test_a_limit_of_namespaces(kind: str, step: str, code: str, userns: str) -> None:
    limit = f"/proc/sys/user/max_{kind}_namespaces"
    text = outcome(code, f"echo 0 > {limit}", userns=userns)
    assert text.startswith(
        f"NetNSLimitError: [Errno 28] namespace 'lab': cannot {step}: ENOSPC (No space left on device); "
        f"sysctl -w user.max_{kind}_namespaces=10000, here and in the user namespaces around this one"
    )
    (number,) = re.findall(r"sysctl -w \S+=(\d+)", text)
    assert outcome(code, f"echo 0 > {limit} && echo {number} > {limit}", userns=userns) == "it works"


@pytest.mark.parametrize(
    ("options", "kind", "described"),
    [
        ("-o ro", "NetNSOSError: [Errno 30]", "EROFS (Read-only file system); mount a writable file system there"),
        ("-o nr_inodes=1", "NetNSLimitError: [Errno 28]", "ENOSPC (No space left on device); free space on the file"),
    ],
)
def test_no_room_for_a_name(options: str, kind: str, described: str) -> None:
    code = "session.namespace('lab', name='lab')"
    where = f"{TMPFS} {options} tmpfs /run/netns"
    text = outcome(code, where, under=MOUNTS)
    assert text.startswith(f"{kind} namespace 'lab': cannot bind the name lab: {described}")
    assert "/proc/sys" not in text
    assert "max_net_namespaces" not in text
    assert text.endswith(("or give no name", "or give no name, which a namespace does not need"))
    assert outcome("session.namespace('lab')", where, under=MOUNTS) == "it works"
    remedy = "mount -t tmpfs tmpfs /run/netns"
    assert remedy in _causes.NEXT_STEP[_causes.FILE_OF_NAME][errno.EROFS]
    assert outcome(code, f"{where} && {remedy}", under=MOUNTS) == "it works"


def test_sysctls_that_are_read_only() -> None:
    code = "session.namespace('lab', sysctl={'net.ipv4.ip_forward': 1})"
    read_only = "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys"
    text = outcome(code, read_only, under=MOUNTS)
    assert text.startswith(
        "NetNSOSError: [Errno 30] namespace 'lab': cannot set the sysctl net.ipv4.ip_forward: EROFS "
    )
    (remedy,) = re.findall(r"\((mount [^)]*)\)", text)
    assert outcome(code, f"{read_only} && {remedy}", under=MOUNTS) == "it works"


def refused(act: Callable[[], object]) -> OSError:
    with pytest.raises(OSError) as info:  # noqa: PT011 - whatever it is
        act()
    return info.value


@pytest.mark.parametrize(
    ("key", "value", "number"),
    [
        ("net.ipv4.ip_forward", "maybe", errno.EINVAL),
        ("net.ipv4.no_such_thing", 1, errno.ENOENT),
        ("net.ipv4.ip_forward.more", 1, errno.ENOTDIR),
        ("net.ipv4", 1, errno.EISDIR),
    ],
)
def test_a_sysctl_that_cannot_be_set(netns: NetNS, key: str, value: str | int, number: int) -> None:
    error = refused(lambda: netns.sysctl.__setitem__(key, value))
    assert error.errno == number
    assert str(error).endswith(f"; {_causes.NEXT_STEP[_causes.SYSCTL][number]}")


@pytest.mark.parametrize("mode", ["resident", "fork"])
def test_a_socket_that_there_is_not(netns: NetNS, mode: ChildModeName) -> None:
    error = refused(lambda: netns.socket(2, 1, 17, child_mode=mode))
    assert str(error).endswith("; check the protocol number, or load the module that provides it")
    error = refused(lambda: netns.socket(2, 99, child_mode=mode))
    assert str(error).endswith("; check the type and the protocol: the address family has no such socket")


def test_an_errno_means_what_its_step_says() -> None:
    """No next step of one step is that of another by chance, and every step has the general ones."""
    for step in _causes.NEXT_STEP:
        assert _causes.next_step(errno.EMFILE, step) == _causes.NEXT_STEP[_causes.ANYTHING][errno.EMFILE]
    assert _causes.next_step(errno.ENOSPC) is None
    assert _causes.next_step(errno.EROFS) is None
    found = [_causes.next_step(errno.ENOSPC, step) for step in (_causes.NETWORK, _causes.USER, _causes.MOUNTS)]
    assert [re.findall(r"max_\w+", text or "") for text in found] == [
        ["max_net_namespaces"],
        ["max_user_namespaces"],
        ["max_mnt_namespaces"],
    ]


def test_a_limit_that_is_reached_in_a_worker_of_isolation() -> None:
    code = "from pytest_netns._isolation.isolation import move_into_new; move_into_new()"
    text = outcome(code, "echo 0 > /proc/sys/user/max_net_namespaces")
    assert text.startswith("NetNSLimitError: [Errno 28] cannot move into a namespace of its own: ENOSPC ")
    assert "sysctl -w user.max_net_namespaces=10000" in text


ACTS: dict[str, Callable[[NetNS], object]] = {
    "socket": lambda ns: ns.socket().close(),
    "socket of a fork": lambda ns: ns.socket(child_mode="fork").close(),
    "server": lambda ns: ns.create_server(("127.0.0.1", 0)).close(),
    "server of a name": lambda ns: ns.create_server(("localhost", 0)).close(),
    "connection": lambda ns: suppressed(ns, ("127.0.0.1", 9)),
    "connection to a name": lambda ns: suppressed(ns, ("localhost", 9)),
    "enter": lambda ns: ns.enter().__enter__(),
    "call": lambda ns: ns.call(len, "ab", child_mode="fork"),
    "thread": lambda ns: ns.thread(target=len, args=("ab",)).start(),
    "executor": lambda ns: ns.executor(1),
    "sysctl": lambda ns: ns.sysctl["net.ipv4.ip_forward"],
    "ipr": lambda ns: ns.ipr,
    "iproute": lambda ns: ns.iproute().close(),
}


def suppressed(ns: NetNS, address: tuple[str, int]) -> None:
    with contextlib.suppress(ConnectionRefusedError):
        ns.create_connection(address)


OUT_OF_DESCRIPTORS = read_suite(__file__, "causes_out_of_descriptors")


@pytest.mark.parametrize("act", ACTS)
def test_out_of_descriptors(act: str) -> None:
    """With none to spare, then one, then two: an error each time that says where and what to do, until it works."""
    command = [sys.executable, "-c", OUT_OF_DESCRIPTORS, str(Path(__file__).parents[1]), act]
    worked, found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    assert worked
    for text in found:
        assert text.startswith("[Errno 24] ")
        assert "namespace 'lab'" in text or "cannot load the child mode" in text
        assert "raise the limit of open files (ulimit -n)" in text


@pytest.mark.parametrize("act", ["call", "thread"])
def test_no_more_threads(netns: NetNS, act: str) -> None:
    netns.call(len, "ab")  # it can be at all
    before = threading.stack_size(1 << 46)  # more than there are addresses
    try:
        with pytest.raises(NetNSLimitError) as info:
            netns.call(len, "ab") if act == "call" else netns.thread(target=len, args=("ab",)).start()
    finally:
        threading.stack_size(before)
    assert str(info.value) == (
        "[Errno 11] namespace 'netns': cannot start a thread: EAGAIN (Resource temporarily unavailable); "
        f"{_causes.NEXT_STEP[_causes.STARTING][errno.EAGAIN]}"
    )
    assert isinstance(info.value.__cause__, RuntimeError)


def test_a_port_that_takes_a_privilege() -> None:
    code = "session.namespace('lab').create_server(('127.0.0.1', 80))"
    text = outcome(code, "true", under=("setpriv", "--bounding-set=-net_bind_service"), userns="off")
    assert text == (
        "PermissionError: [Errno 13] Permission denied (while attempting to bind on address ('127.0.0.1', 80) in "
        "namespace 'lab'); if the port is below 1024, it needs CAP_NET_BIND_SERVICE, or "
        "sysctl={'net.ipv4.ip_unprivileged_port_start': 0}"
    )
    code = code.replace("'lab'", "'lab', sysctl={'net.ipv4.ip_unprivileged_port_start': 0}") + ".close()"
    assert outcome(code, "true", under=("setpriv", "--bounding-set=-net_bind_service"), userns="off") == "it works"
