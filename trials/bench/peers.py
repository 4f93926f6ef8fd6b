"""What both sides are measured with: unique names, and pyroute2 in one of its modes."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
from collections.abc import Iterator

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
