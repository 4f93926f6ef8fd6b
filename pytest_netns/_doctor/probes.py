"""What the machine can do, tried out: each probe in a throw-away child with a network namespace of its own.

Runs as a program of its own (see ``doctor.py``), since a probe may neither move nor fork the process that asks.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import select
import signal
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

from .._child.resident.journal import open_journal
from .._child.resident.record import Entry
from .._errors import errno_name
from .._linux import id_maps, proc, run_netns, syscalls
from . import remedies
from .remedies import CONTAINER

TIME_LIMIT = 10.0  # seconds for one probe; on a machine that is not stuck they take some milliseconds
CAPABILITIES = {
    "net_admin": syscalls.CAP_NET_ADMIN,
    "net_raw": syscalls.CAP_NET_RAW,
    "sys_admin": syscalls.CAP_SYS_ADMIN,
}
LINKS: dict[str, dict[str, Any]] = {
    "veth": {"peer": "probe1"},
    "bridge": {},
    "dummy": {},
    "vlan": {"link": True, "vlan_id": 2},
    "vrf": {"vrf_table": 42},
    "macvlan": {"link": True},
    "ipvlan": {"link": True},
    "vxlan": {"vxlan_id": 42, "vxlan_port": 4789},
    "ifb": {},
    "bond": {},
    "gre": {"gre_local": "192.0.2.1", "gre_remote": "192.0.2.2"},
    "wireguard": {},
}
QDISCS: dict[str, dict[str, Any]] = {
    "netem": {"delay": 1000},
    "tbf": {"rate": 1_000_000, "burst": 10_000, "latency": 10_000},
    "htb": {},
    "ingress": {"parent": 0xFFFF_FFF1, "handle": 0xFFFF_0000},
    "fq": {},
}
MODULES = {"ingress": "sch_ingress", "gre": "ip_gre", "bond": "bonding", "vlan": "8021q"}
TUNSETIFF, IFF_TUN, IFF_TAP, IFF_NO_PI = 0x400454CA, 1, 2, 0x1000  # <linux/if_tun.h>
NETLINK_NETFILTER, NFT_MSG_GETGEN = 12, 0x0A10  # <linux/netfilter/nfnetlink.h>, nf_tables.h
ROOTLESS = "rootless"
DESCRIPTORS = 256  # what a session with a few dozen namespaces and their sockets needs
NAMESPACES = 16  # what a test with a few hosts needs, in each of a few workers


class Failure(Exception):
    """A probe's step that failed."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause)
        self.cause, self.remedy = cause, remedy


@contextlib.contextmanager
def _step(what: str, remedy: Callable[[int], str] | str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # pyroute2's errors have a code where those of the standard library have an errno.
        number = getattr(error, "code", None) or getattr(error, "errno", None)
        if not isinstance(number, int):
            raise
        text = remedy if isinstance(remedy, str) else remedy(number)
        raise Failure(f"{what}: {errno_name(number)}", text) from None


def _enter_user() -> None:
    ids = os.geteuid(), os.getegid()
    # To map root, the process needs a capability itself (user_namespaces(7), CAP_SETFCAP since Linux 5.12).
    has_all = proc.has_capability(syscalls.CAP_SYS_ADMIN)
    remedy = remedies.for_user_namespace if ids[0] or has_all else f"give root its capabilities: {CONTAINER}"
    with _step("unshare(CLONE_NEWUSER)", remedies.for_user_namespace):
        syscalls.unshare(syscalls.CLONE_NEWUSER)
    with _step("mapping the user", remedy):
        id_maps.map_to_root(*ids)


def _enter_net() -> str:
    """Move into a network namespace, through a user namespace where it must be; say which way it went."""
    if proc.has_capability(syscalls.CAP_SYS_ADMIN):
        with _step("unshare(CLONE_NEWNET)", remedies.for_net_namespace):
            syscalls.unshare()
        return "with CAP_SYS_ADMIN"
    try:
        _enter_user()
    except Failure as failure:
        raise Failure(f"no CAP_SYS_ADMIN, and no user namespace instead: {failure.cause}", failure.remedy) from None
    with _step("unshare(CLONE_NEWNET) in a user namespace", remedies.for_net_namespace):
        syscalls.unshare()
    return f"{ROOTLESS}, through a user namespace"


def _capability(name: str) -> str:
    if not proc.has_capability(CAPABILITIES[name]):
        remedy = f"run pytest as root (sudo), or docker/podman run --cap-add {name.upper()}"
        raise Failure(f"CAP_{name.upper()} is not effective", f"{remedies.without_privilege()}{remedy}")
    return ""


def _userns() -> str:
    _enter_user()
    return ""


def _users() -> str:
    remedy = remedies.for_users()  # as who we are outside
    with _step("becoming root in a user namespace", remedies.for_user_namespace):
        has_answered = id_maps.become_root(0)
    if not has_answered:
        remedy = "find out what newuidmap(1) and newgidmap(1) wait for, such as a server of users (/etc/nsswitch.conf)"
        raise Failure(f"root is alone in a user namespace, as nobody was lent to it in {id_maps.PATIENCE:g} s", remedy)
    if id_maps.is_root_alone():
        raise Failure("root is alone in a user namespace, so nothing that runs there can give up root", remedy)
    return ""


def _setns() -> str:
    home = syscalls.open_own_namespace()
    way = _enter_net()
    inside = syscalls.open_own_namespace()
    if way.startswith(ROOTLESS):  # the way home is barred, so the namespace is entered from another one of ours
        with _step("unshare(CLONE_NEWNET) in a user namespace", remedies.for_net_namespace):
            syscalls.unshare()
        home = syscalls.open_own_namespace()
    with _step("setns(CLONE_NEWNET)", remedies.for_refusal):
        syscalls.setns(inside)
        syscalls.setns(home)
    return ""


def _thread() -> str:
    failures: list[BaseException] = []

    def enter() -> None:
        try:
            syscalls.setns(inside)
        except OSError as error:
            failures.append(error)

    _enter_net()
    inside = syscalls.open_own_namespace()
    with _step("setns(CLONE_NEWNET) in a thread", remedies.for_refusal):
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        for failure in failures:
            raise failure
    return ""


def _mount() -> str:
    name = f"pytest-netns-doctor-{os.getpid()}"
    rootless = _enter_net().startswith(ROOTLESS)
    with _step("unshare(CLONE_NEWNS)", remedies.for_mount_namespace):
        syscalls.unshare(syscalls.CLONE_NEWNS)  # so that a mount of ours goes with this process
    with _step("making the mounts private", remedies.for_refusal):
        syscalls.mount("", "/", syscalls.MS_PRIVATE | syscalls.MS_REC)
    if rootless:
        with _step("mounting a /run/netns of our own", remedies.for_refusal):
            run_netns.make_own_directory()
    with _step("mounting a name under /run/netns", remedies.for_refusal):
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
    _enter_net()
    with _step("bringing loopback up", remedies.for_refusal):
        syscalls.set_link_up("lo")
    with _step("sending over loopback", "use a kernel with CONFIG_INET"), socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.settimeout(TIME_LIMIT / 2)
        sock.bind(("127.0.0.1", 0))
        sock.sendto(b"x", sock.getsockname())
        sock.recv(1)
    return ""


def _load(kind: str) -> Callable[[int], str]:
    module = MODULES.get(kind, f"sch_{kind}" if kind in QDISCS else kind)

    def remedy(number: int) -> str:
        return (
            remedies.for_refusal(number)
            if number in (errno.EPERM, errno.EACCES)
            else f"modprobe {module} (as root, outside)"
        )

    return remedy


def _iproute() -> Any:
    from .._netns.netlink import Netlink

    return Netlink(lambda family: socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, family)).iproute()


def _link(kind: str) -> str:
    _enter_net()
    options = dict(LINKS[kind])
    ipr = _iproute()
    if options.pop("link", False):
        options["link"] = _lower(ipr)
    with _step(f"adding a link of kind {kind}", _load(kind)):
        ipr.link("add", ifname="probe0", kind=kind, **options)
    return ""


def _lower(ipr: Any) -> int:
    """Return the index of a link of some kind that this kernel has, for another to stand on."""
    with _step("adding a bridge or a veth to stand on", _load("veth")):
        try:
            ipr.link("add", ifname="lower", kind="veth", peer="lower1")
        except Exception:  # any of the two will do
            ipr.link("add", ifname="lower", kind="bridge")
    index: int = ipr.link_lookup(ifname="lower")[0]
    return index


def _tuntap(flag: int) -> str:
    _enter_net()
    with _step("opening /dev/net/tun", remedies.for_tun):
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    with _step("adding a link (TUNSETIFF)", remedies.for_refusal):
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"probe0", flag | IFF_NO_PI))
    return ""


def _qdisc(kind: str) -> str:
    _enter_net()
    with _step(f"adding a qdisc of kind {kind}", _load(kind)):
        _iproute().tc("add", kind, index=1, **QDISCS[kind])
    return ""


def _nft() -> str:
    """Ask for the generation of the rules, as ``nft`` does first."""
    _enter_net()
    with _step("asking nftables (NFT_MSG_GETGEN)", _load("nf_tables")):
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as sock:
            sock.settimeout(TIME_LIMIT / 2)
            sock.send(struct.pack("IHHII", 20, NFT_MSG_GETGEN, 1, 1, 0) + bytes(4))
            answer = sock.recv(4096)
            if struct.unpack_from("H", answer, 4)[0] == 2:  # NLMSG_ERROR
                number = -struct.unpack_from("i", answer, 16)[0]
                raise OSError(number, os.strerror(number))
    return ""


def _sysctl() -> str:
    _enter_net()
    path = "/proc/sys/net/ipv4/ip_forward"
    remedy = f"mount -o remount,bind,rw /proc/sys, or {CONTAINER} --security-opt systempaths=unconfined"
    with _step(f"writing {path}", remedy), open(path, "w") as file:
        file.write("1")
    return ""


def _namespaces() -> str:
    _enter_net()
    fds: list[int] = []
    with _step(f"holding {NAMESPACES} network namespaces", remedies.for_net_namespace):
        while len(fds) < NAMESPACES:
            syscalls.unshare()
            fds.append(syscalls.open_own_namespace())
    return ""


def _descriptors() -> str:
    fds: list[int] = []
    with _step(f"opening {DESCRIPTORS} descriptors", f"ulimit -n {DESCRIPTORS * 4}"):
        while len(fds) < DESCRIPTORS:
            fds.append(os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC))
    return ""


def _pidfd() -> str:
    with _step("pidfd_open(2)", "use Linux 5.3, and lift the seccomp filter that hides the call"):
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
    with _step("pidfd_getfd(2) of a child", remedy):
        os.close(syscalls.copy_descriptor(os.pidfd_open(child), ours))
    os.close(theirs)
    syscalls.reap(child)
    return ""


def _xdist() -> str:
    from importlib.util import find_spec

    if find_spec("xdist") is None:
        raise Failure("pytest-xdist is not installed", "pip install pytest-xdist")
    return ""


PROBES: dict[str, Callable[[], str]] = {
    "netns": _enter_net,
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
    **{name: partial(_link, name) for name in LINKS},
    "tun": partial(_tuntap, IFF_TUN),
    "tap": partial(_tuntap, IFF_TAP),
    **{name: partial(_qdisc, name) for name in QDISCS},
    "nft": _nft,
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
    """Print what was found, as JSON."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a supervisor may have it ignored, and so inherited
    if not set(names).isdisjoint({*LINKS, *QDISCS}):
        from .._netns import netlink as netlink  # once, before the forks
    json.dump([probe(name) for name in names or PROBES], sys.stdout)
