"""The end of one command, with what it has started, while its namespace lives on."""

from __future__ import annotations

import select
import signal

from .._child.resident.reaper import Found
from .._linux import family, syscalls
from .starter import Command

PAUSE = 0.005  # seconds between two looks at processes


def end(command: Command, term_timeout: float, kill_timeout: float) -> None:
    """End a command and what descends from it: by SIGTERM and, what does not heed that, by SIGKILL.

    What still runs then is left to the end of the namespace, which names it.

    :param term_timeout: seconds between the two.
    :param kill_timeout: seconds for the kernel to end what was killed.
    """
    if not command.is_running():
        return
    # Found before the first one ends, at which its children lose their parent.
    found = [Found(pid) for pid in family.descendants(command.process.pid)[1:]]
    try:
        for number, timeout in ((signal.SIGTERM, term_timeout), (signal.SIGKILL, kill_timeout)):
            for send in (command.signal, *(each.signal for each in found)):
                send(number)
                send(signal.SIGCONT)  # one that is stopped would not hear it
            if _have_ended(command, found, timeout):
                return
    finally:
        for process in found:
            process.close()


def _have_ended(command: Command, found: list[Found], timeout: float) -> bool:
    """Wait until all have ended; return whether they have, within a timeout in seconds."""
    deadline = syscalls.monotonic() + timeout
    poll = select.poll()
    if command.pidfd is not None:
        poll.register(command.pidfd, select.POLLIN)
    while command.is_running() or any(each.is_running() for each in found):
        left = deadline - syscalls.monotonic()
        if left <= 0:
            return False
        if command.is_running():
            poll.poll(min(PAUSE, left) * 1000)
        else:
            syscalls.sleep(min(PAUSE, left))
    return True
