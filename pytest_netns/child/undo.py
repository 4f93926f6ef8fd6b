"""How the processes in namespaces that nobody else will end are ended."""

from __future__ import annotations

import os
import signal

from .. import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 40  # times to look for processes
PAUSE = 0.02  # seconds between two looks


class Failed(Exception):
    """Processes that were killed do not end."""


def kill_processes(
    inhabited: set[tuple[int, int]],
    is_meant: Callable[[int], bool] = lambda pid: True,
) -> None:
    """Kill the processes in namespaces until there are none.

    :param inhabited: the namespaces, as :func:`kernel.namespace_id` gives them.
    :param is_meant: whether the process with this pid really is in one of them.
    :raises Failed: there still are some.
    """
    for _ in range(ROUNDS if inhabited else 0):
        found = False
        for pid in kernel.processes_in(inhabited):
            if is_meant(pid):
                found = True
                kill(pid)
        if not found:
            return
        kernel.sleep(PAUSE)
    if inhabited:
        raise Failed


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it ended meanwhile
