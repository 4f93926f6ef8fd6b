"""What the machine can do, tried out: each probe in a throw-away child with a network namespace of its own.

Runs as a program of its own (see ``findings.py``), since a probe may neither move nor fork the process that asks.
"""

from __future__ import annotations

import errno
import json
import os
import select
import shutil
import signal
import socket
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from .. import _causes
from .._child.resident.journal import open_journal
from .._child.resident.record import Entry
from .._linux import id_maps, proc, run_netns, syscalls
from . import remedies
from .links import IFF_TAP, IFF_TUN, LINKS, QDISCS, link, nat, nft, qdisc, tuntap
from .remedies import CONTAINER
from .steps import ROOTLESS, TIME_LIMIT, Failure, enter_net, enter_user, step

CAPABILITIES = {
    "net_admin": syscalls.CAP_NET_ADMIN,
    "net_raw": syscalls.CAP_NET_RAW,
    "sys_admin": syscalls.CAP_SYS_ADMIN,
}
DESCRIPTORS = 256  # what a session with a few dozen namespaces and their sockets needs
ETH_P_ALL = 3  # <linux/if_ether.h>
NAMESPACES = 16  # what a test with a few hosts needs, in each of a few workers


def _capability(name: str) -> str:
    if not proc.has_capability(CAPABILITIES[name]):
        remedy = f"run pytest as root (sudo), or docker/podman run --cap-add {name.upper()}"
        raise Failure(f"CAP_{name.upper()} is not effective", f"{remedies.without_privilege()}{remedy}")
    return ""


def _userns() -> str:
    enter_user()
    return ""


def _users() -> str:
    remedy = remedies.for_users()  # as who we are outside
    with step("becoming root in a user namespace", remedies.for_user_namespace):
        has_answered = id_maps.become_root(0)
    if not has_answered:
        remedy = "find out what newuidmap(1) and newgidmap(1) wait for, such as a server of users (/etc/nsswitch.conf)"
        raise Failure(f"root is alone in a user namespace, as nobody was lent to it in {id_maps.PATIENCE:g} s", remedy)
    if id_maps.is_root_alone():
        raise Failure("root is alone in a user namespace, so nothing that runs there can give up root", remedy)
    return ""


def _setns() -> str:
    original_ns = syscalls.open_own_namespace()
    how = enter_net()
    inside = syscalls.open_own_namespace()
    if how.startswith(
        ROOTLESS
    ):  # it cannot return to the original one, so the namespace is entered from another one of ours
        with step("unshare(CLONE_NEWNET) in a user namespace", remedies.by_table(_causes.NETWORK)):
            syscalls.unshare()
        original_ns = syscalls.open_own_namespace()
    with step("setns(CLONE_NEWNET)", remedies.for_refusal):
        syscalls.setns(inside)
        syscalls.setns(original_ns)
    return ""


def _thread() -> str:
    failures: list[BaseException] = []

    def enter() -> None:
        try:
            syscalls.setns(inside)
        except OSError as error:
            failures.append(error)

    enter_net()
    inside = syscalls.open_own_namespace()
    with step("setns(CLONE_NEWNET) in a thread", remedies.for_refusal):
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        for failure in failures:
            raise failure
    return ""


def _mount() -> str:
    name = f"pytest-netns-doctor-{os.getpid()}"
    rootless = enter_net().startswith(ROOTLESS)
    with step("unshare(CLONE_NEWNS)", remedies.by_table(_causes.MOUNTS)):
        syscalls.unshare(syscalls.CLONE_NEWNS)  # so that a mount of ours goes with this process
    with step("making the mounts private", remedies.for_refusal):
        syscalls.mount("", "/", syscalls.MS_PRIVATE | syscalls.MS_REC)
    if rootless:
        with step("mounting a /run/netns of our own", remedies.for_refusal):
            run_netns.make_own_directory()
    with step("mounting a name under /run/netns", remedies.for_refusal):
        try:
            run_netns.bind(name)
        except run_netns.Locked as locked:
            remedy = f"wait for its end, or end it, as it has {run_netns.DIRECTORY} locked (flock(2))"
            raise Failure(f"{locked.holder} keeps others from making names", remedy) from None
        run_netns.remove(name, lambda path: True)
    return f"{ROOTLESS}, under a /run/netns of our own" if rootless else ""


def _journal() -> str:
    journal = open_journal(os.getpid(), 0)
    for unusable in reversed(journal.refused if journal.trouble else ()):
        raise Failure(journal.trouble, unusable.remedy)
    journal.put(Entry(0, (0, 0), 0, None))
    journal.close()
    if journal.trouble:
        raise Failure(journal.trouble, "free space there")
    # An ordinary user may not write to /run, and may have no directory below it.
    usual = (errno.EACCES, errno.ENOENT) if os.geteuid() else ()
    passed_over = [unusable.cause for unusable in journal.refused if unusable.number not in usual]
    return f"in {journal.directory}" + (f", as another cannot be used: {'; '.join(passed_over)}" if passed_over else "")


def _loopback() -> str:
    enter_net()
    with step("bringing loopback up", remedies.for_refusal):
        syscalls.set_link_up("lo")
    with step("sending over loopback", "use a kernel with CONFIG_INET"), socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.settimeout(TIME_LIMIT / 2)
        sock.bind(("127.0.0.1", 0))
        sock.sendto(b"x", sock.getsockname())
        sock.recv(1)
    return ""


def _sysctl() -> str:
    enter_net()
    path = "/proc/sys/net/ipv4/ip_forward"
    remedy = f"mount -o remount,bind,rw /proc/sys, or {CONTAINER} --security-opt systempaths=unconfined"
    with step(f"writing {path}", remedy), open(path, "w") as file:
        file.write("1")
    return ""


def _namespaces() -> str:
    enter_net()
    fds: list[int] = []
    with step(f"holding {NAMESPACES} network namespaces", remedies.by_table(_causes.NETWORK)):
        while len(fds) < NAMESPACES:
            syscalls.unshare()
            fds.append(syscalls.open_own_namespace())
    return ""


def _descriptors() -> str:
    fds: list[int] = []
    with step(f"opening {DESCRIPTORS} descriptors", f"ulimit -n {DESCRIPTORS * 4}"):
        while len(fds) < DESCRIPTORS:
            fds.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))
    return ""


def _pidfd() -> str:
    with step("pidfd_open(2)", "use Linux 5.3, and lift the seccomp filter that hides the call"):
        os.close(os.pidfd_open(os.getpid()))
    return ""


def _ptrace() -> str:
    ours, theirs = os.pipe()
    child = os.fork()
    if not child:
        os.close(theirs)
        os.read(ours, 1)  # until the parent's end
        os._exit(0)
    remedy = "docker/podman run --cap-add SYS_PTRACE, on Linux 5.6"
    with step("pidfd_getfd(2) of a child", remedy):
        os.close(syscalls.copy_descriptor(os.pidfd_open(child), ours))
    os.close(theirs)
    syscalls.reap(child)
    return ""


def _packet() -> str:
    enter_net()
    with step("bringing loopback up", remedies.for_refusal):
        syscalls.set_link_up("lo")
    remedy = remedies.by_table(_causes.PACKET)
    with step("sending a frame by AF_PACKET", remedy), socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as sock:
        sock.settimeout(TIME_LIMIT / 2)
        sock.bind(("lo", ETH_P_ALL))
        sock.send(bytes(14) + b"probe")
        sock.recv(64)
    return ""


def _nsenter() -> str:
    if shutil.which("nsenter") is None:
        raise Failure("there is no nsenter(1)", "install util-linux (apt-get install util-linux)")
    return ""


def _xdist() -> str:
    from importlib.util import find_spec

    if find_spec("xdist") is None:
        raise Failure("pytest-xdist is not installed", "pip install pytest-xdist")
    return ""


PROBES: dict[str, Callable[[], str]] = {
    "netns": enter_net,
    **{name: partial(_capability, name) for name in ("sys_admin", "net_admin", "net_raw")},
    "userns": _userns,
    "users": _users,
    "setns": _setns,
    "thread": _thread,
    "mount": _mount,
    "journal": _journal,
    "loopback": _loopback,
    "sysctl": _sysctl,
    "descriptors": _descriptors,
    "namespaces": _namespaces,
    "ptrace": _ptrace,
    "pidfd": _pidfd,
    **{name: partial(link, name) for name in LINKS},
    "tun": partial(tuntap, IFF_TUN),
    "tap": partial(tuntap, IFF_TAP),
    **{name: partial(qdisc, name) for name in QDISCS},
    "nft": nft,
    "nat": nat,
    "packet": _packet,
    "nsenter": _nsenter,
    "xdist": _xdist,
}


def _judge(name: str) -> dict[str, Any]:
    try:
        return {"name": name, "ok": True, "cause": PROBES[name](), "remedy": ""}
    except Failure as failure:
        return {"name": name, "ok": False, "cause": failure.cause, "remedy": failure.remedy}
    except Exception as error:  # a probe that breaks is a finding too, not the end of the others
        return {"name": name, "ok": False, "cause": f"{type(error).__name__}: {error}", "remedy": "report it as a bug"}


def probe(name: str) -> dict[str, Any]:
    """Try one thing out in a forked child, which is killed when it takes too long."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writing, json.dumps(_judge(name)).encode())
        finally:
            os._exit(0)
    os.close(writing)
    answer = b""
    if select.select([reading], [], [], TIME_LIMIT)[0]:
        answer = os.read(reading, 65536)
    os.close(reading)
    os.kill(child, signal.SIGKILL)
    syscalls.reap(child)
    if not answer:
        cause = f"the probe did not answer within {TIME_LIMIT:g} s, or was killed"
        return {"name": name, "ok": False, "cause": cause, "remedy": "lift the seccomp filter that stops it"}
    found: dict[str, Any] = json.loads(answer)
    return found


def main(names: Sequence[str]) -> None:
    """Print what was found, a line of JSON for each probe as soon as it has answered."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a supervisor may have it ignored, and so inherited
    if not set(names).isdisjoint({*LINKS, *QDISCS}):
        from .._netns import netlink as netlink  # once, before the forks
    for name in names:
        print(json.dumps(probe(name)), flush=True)
