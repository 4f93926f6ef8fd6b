"""A namespace made and let go of: ours, the bare system calls, ip(8) and pyroute2."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess

from pytest_netns._linux import syscalls
from pytest_netns._netns.factory import Session

from . import report
from .peers import pyroute2_children, unique_name
from .timing import Case, interleave, samples

LABELS = {
    "namespace.floor": "unshare + lo up + setns back: the floor",
    "namespace.ours": "Session.namespace() + close()",
    "namespace.ip": "ip netns add + ip netns del (lo is down)",
    "namespace.pyroute2": "pyroute2 create + remove (lo is down)",
}


def floor() -> None:
    """Make a namespace with its loopback up, leave it and let go of it, in the calling thread and nothing around it."""
    home = syscalls.open_own_namespace()
    syscalls.unshare()
    fd = syscalls.open_own_namespace()
    syscalls.set_link_up("lo")
    syscalls.setns(home)
    os.close(home)
    os.close(fd)


def by_ip() -> None:
    name = unique_name()
    try:
        subprocess.run(["ip", "netns", "add", name], check=True)
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def by_pyroute2() -> None:
    from pyroute2 import netns

    name = unique_name()
    try:
        netns.create(name)
    finally:
        netns.remove(name)


def section(quick: bool) -> report.Section:
    """Measure a namespace from nothing to gone; the kernel frees it later, in its own time, for all alike."""
    with contextlib.closing(Session()) as session, pyroute2_children("fork"):
        cases = [
            Case("namespace.floor", floor, in_a_row=3),
            Case("namespace.ours", lambda: session.namespace().close(), in_a_row=3),
            Case("namespace.pyroute2", by_pyroute2),
        ]
        if shutil.which("ip"):
            cases.append(Case("namespace.ip", by_ip))
        times = interleave(cases, 5 if quick else 250)
    others = [key for key in LABELS if key != "namespace.floor"]
    return report.Section(
        "a namespace, made and closed",
        report.rows(samples(times), LABELS),
        (
            report.Column("x floor", dict.fromkeys(others, "namespace.floor")),
            report.Column("x ours", dict.fromkeys(others[1:], "namespace.ours")),
        ),
    )
