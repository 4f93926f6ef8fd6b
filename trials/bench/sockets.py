"""A socket in a namespace: our child modes, pyroute2's, and the bare system calls; and many sockets at once."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

from pytest_netns._linux import syscalls
from pytest_netns._netns.factory import Session
from pytest_netns._netns.namespace import NetNS

from . import report
from .peers import pyroute2_children, resident_memory, unique_name
from .timing import Case, Sample, interleave, samples

METHODS = ("fork", "forkserver", "spawn")
MANY = 1000


@contextlib.contextmanager
def named_namespace() -> Iterator[NetNS]:
    """Make a namespace with a name, by which pyroute2 finds it; it is removed also where a benchmark fails."""
    with contextlib.closing(Session()) as session, session.namespace(name=unique_name()) as ns:
        yield ns


def close(sock: socket.socket) -> None:
    sock.close()


def inline(ns: NetNS) -> Callable[[], socket.socket]:
    """Return the floor: what any way to a socket of another namespace has to do, with nothing around it."""
    fd, home = ns.fileno(), syscalls.open_own_namespace()

    def run() -> socket.socket:
        syscalls.setns(fd)
        sock = socket.socket()
        syscalls.setns(home)
        return sock

    return run


def bare_fork(ns: NetNS) -> Callable[[], socket.socket]:
    """Return the fork flow as one writes it by hand: fork, setns, socket, send, wait, and no check of anything."""
    fd = ns.fileno()

    def run() -> socket.socket:
        ours, theirs = socket.socketpair()
        pid = os.fork()
        if pid == 0:
            try:
                syscalls.setns(fd)
                sock = socket.socket()
                socket.send_fds(theirs, [b"x"], [sock.fileno()])
            finally:
                os._exit(0)
        theirs.close()  # else a child that fails would be waited for without an end
        _, fds, _, _ = socket.recv_fds(ours, 1, 1)
        os.waitpid(pid, 0)
        ours.close()
        return socket.socket(fileno=fds[0])

    return run


def pyroute2_socket(ns: NetNS, **options: Any) -> Callable[[], Any]:
    """Return pyroute2's call for the same socket in the same namespace."""
    from pyroute2 import netns

    return functools.partial(netns.create_socket, ns.name, **options)


def of_fork_cases(ns: NetNS, prefix: str) -> list[Case]:
    """Return the cases that start children by fork at most, and so can be compared in a process of any size.

    pyroute2 looks for its libc in each child, for half of its time, until the process has done so itself: after its
    first ``netns.remove()``, say, but not after ``create()`` or ``create_socket()``. Both are measured.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    return [
        Case(f"{prefix}.floor", inline(ns), close, in_a_row=8),
        Case(f"{prefix}.resident", ns.socket, close, in_a_row=8),
        Case(f"{prefix}.fork", functools.partial(ns.socket, child_mode="fork"), close),
        Case(f"{prefix}.bare:fork", bare_fork(ns), close),
        Case(f"{prefix}.pyroute2:fork", pyroute2_socket(ns), close),
        Case(f"{prefix}.pyroute2:fork:libc", pyroute2_socket(ns, libc=libc), close),
    ]


LABELS = {
    "floor": "setns + socket + setns back: the floor",
    "resident": "resident",
    "fork": "fork",
    "bare:fork": "fork + setns + socket + send + wait, by hand",
    "pyroute2:fork": "pyroute2, fork",
    "pyroute2:fork:libc": "pyroute2, fork, once it has its libc",
}
FASTER = {"resident": "pyroute2:fork", "fork": "pyroute2:fork"}


def prefixed(prefix: str, names: dict[str, str], *, values: bool = False) -> dict[str, str]:
    """Return names with a prefix, and where they name rows too, the values."""
    return {f"{prefix}.{key}": f"{prefix}.{value}" if values else value for key, value in names.items()}


def columns(prefix: str, faster: dict[str, str], labels: dict[str, str]) -> tuple[report.Column, ...]:
    floor = {f"{prefix}.{name}": f"{prefix}.floor" for name in labels if name != "floor"}
    return (
        report.Column("x floor", floor),
        report.Column("faster by", prefixed(prefix, faster, values=True), inverted=True),
    )


def section(quick: bool) -> report.Section:
    """Measure one socket in a small process, closed out of the time that counts."""
    labels, faster = dict(LABELS), dict(FASTER)
    with named_namespace() as ns:
        with pyroute2_children("fork"):
            measured = interleave(of_fork_cases(ns, "socket"), 5 if quick else 300)
        for method in METHODS:
            mode: Any = f"mp:{method}"
            peer = f"pyroute2:mp:{method}"
            labels |= {mode: mode, peer: f"pyroute2, mp, {method}"}
            faster |= {mode: peer}
            cases = [
                Case(f"socket.{mode}", functools.partial(ns.socket, child_mode=mode), close),
                Case(f"socket.{peer}", pyroute2_socket(ns), close),
            ]
            with pyroute2_children(mode):
                measured |= interleave(cases, 2 if quick else 150 if method == "fork" else 30)
    return report.Section(
        f"a socket, in a process of {resident_memory():.0f} MB",
        report.rows(samples(measured), prefixed("socket", labels)),
        columns("socket", faster, labels),
        "x floor: how many floors it takes. faster by: how many of it pyroute2's child of that kind takes.",
    )


def many_section(quick: bool) -> report.Section:
    """Measure a thousand sockets of one call beside sockets of a call each; the time is that of one socket."""

    def close_all(made: list[socket.socket]) -> None:
        for sock in made:
            sock.close()

    with named_namespace() as ns:
        specs = [(socket.AF_INET, socket.SOCK_STREAM)] * MANY
        cases = [
            Case("sockets.one", ns.socket, close, in_a_row=50),
            Case("sockets.many", functools.partial(ns.sockets, specs), close_all),
        ]
        times = interleave(cases, 3 if quick else 100)
    measured = {
        "sockets.one": Sample.of(times["sockets.one"]),
        "sockets.many": Sample.of(times["sockets.many"]).per(MANY),
    }
    labels = {"sockets.one": "socket()", "sockets.many": f"sockets() of {MANY:,}, for each of them"}
    return report.Section(
        "many sockets at once, resident",
        report.rows(measured, labels),
        (report.Column("cheaper", {"sockets.many": "sockets.one"}, inverted=True),),
    )
