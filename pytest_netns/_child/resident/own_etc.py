"""Runs in a child of the resident child what would take it to another mount namespace, from which there is no return.

The way back by setns(2) would take it out of a root directory that it was started in by chroot(2).
"""

from __future__ import annotations

import errno
import os

from ..._linux import fdpass, syscalls
from ..reply import OK, failure, reply

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def in_a_child(function: Callable[[], list[int]]) -> tuple[bytes, list[int]]:
    """Return the answer of a child, with the descriptors that a function there returns.

    :raises ChildProcessError: it ended without an answer.
    """
    ends: list[fdpass.Channel] = []
    fdpass.pair(ends)
    ours, theirs = ends
    parent = os.getpid()
    pid = os.fork()
    if not pid:
        try:
            ours.close()
            syscalls.die_with_parent(parent)
            _answer(theirs, function)
        finally:
            os._exit(0)
    theirs.close()
    received = fdpass.Received()
    try:
        answer = fdpass.receive(ours, received)
    except (fdpass.Closed, ConnectionResetError):
        raise ChildProcessError(errno.ECHILD, os.strerror(errno.ECHILD)) from None
    finally:
        ours.close()
        syscalls.reap(pid)
    return answer, received.fds


def _answer(channel: fdpass.Channel, function: Callable[[], list[int]]) -> None:
    try:
        answer, fds = OK, function()
    except Exception as error:
        answer, fds = failure(error), []
    reply(channel, answer, fds)
