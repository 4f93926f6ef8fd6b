"""What both sides are measured with: unique names, and pyroute2 in one of its modes."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import socket
import time
from collections.abc import Iterator

from pytest_netns._linux import netlink, rtnetlink

_numbers = itertools.count(1)


def unique_name() -> str:
    """Return a name under /run/netns that nothing else has."""
    return f"bench-{os.getpid()}-{next(_numbers)}"


@contextlib.contextmanager
def pyroute2_children(mode: str) -> Iterator[None]:
    """Have pyroute2 start its children as our mode of the same name does: ``fork`` or ``mp:<start method>``."""
    import pyroute2

    kind, _, method = mode.partition(":")
    saved_kind, saved_method = pyroute2.config.child_process_mode, multiprocessing.get_start_method(allow_none=True)
    try:
        pyroute2.config.child_process_mode = kind
        if method:
            multiprocessing.set_start_method(method, force=True)
        yield
    finally:
        pyroute2.config.child_process_mode = saved_kind
        multiprocessing.set_start_method(saved_method, force=True)


def resident_memory(pid: int | str = "self") -> float:
    """Return a process's resident memory (VmRSS) in MB of 2**20 bytes."""
    with open(f"/proc/{pid}/status") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    raise RuntimeError(f"process {pid} has no VmRSS: it has ended")


BUSY = 0.001  # seconds that a look at the links of a namespace takes only if another holds the kernel's lock
QUIET, AT_MOST, PAUSE = 20, 5000, 0.005


def settle() -> None:
    """Wait until the kernel has taken down what was closed before: until then, it holds the lock of all links.

    That takes it seconds for a thousand namespaces, and tens of milliseconds for a bridge (br_multicast_dev_del), in
    which nobody makes a link.
    """
    asked = netlink.message(1, rtnetlink.RTM_GETLINK, bytes(rtnetlink.LINK.size), netlink.NLM_F_DUMP)
    quiet = 0
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        for _ in range(AT_MOST):
            began = time.perf_counter()
            sock.send(asked)
            while all(kind != netlink.NLMSG_DONE for kind, *_ in netlink.messages(sock.recv(1 << 16))):
                pass
            quiet = quiet + 1 if time.perf_counter() - began < BUSY else 0
            if quiet == QUIET:
                return
            time.sleep(PAUSE)
