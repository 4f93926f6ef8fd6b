"""The start of the resident child: where it can be, what it may do, and whose remains it undoes first."""

from __future__ import annotations

import _socket as socket
import errno
import gc
import os
import resource

from ... import _causes
from ..._linux import id_maps, syscalls
from ..reply import Refused, Step
from .journal import open_journal, undo_the_dead
from .requests import ALWAYS, NEVER
from .server import Server
from .verbs import PASSING, Verbs

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # without the enumerations, which take milliseconds

UNSHARE_PAUSE = 0.01  # seconds between two tries


def find_base(base: int, userns: int, patience: float) -> tuple[int, Refused | None]:
    """Go to the namespace to be in between requests, as somebody who may make others.

    It is the parent's where there is a way back into that. Who is not privileged in the user namespace that owns it has
    none: then it is one of our own, if need be in a user namespace of our own, which takes no privilege.

    :param patience: how long others may take, in seconds.
    :return: its descriptor, or -1 where there is no way to any, and why nothing can be made, if so.
    """
    try:
        if userns >= 0:
            with Step("join the user namespace of the child before"):
                syscalls.setns(userns, syscalls.CLONE_NEWUSER)
            base = -1
            with Step("create a namespace for the resident child to be in", _causes.NETWORK):
                unshare_within(patience)
        elif userns == ALWAYS or not may_make_namespaces():
            with Step("create a namespace without privilege, nor a user namespace that gives it", _causes.USER):
                if userns == NEVER:
                    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
                id_maps.become_root(0, patience)
            with Step("create the namespace", _causes.NETWORK):
                syscalls.unshare()
    except Refused as refused:
        return base, refused
    return go_back(base), None


def go_back(base: int) -> int:
    """Go to a namespace if there is a way back into it; return a descriptor of the one to be in instead if not."""
    try:
        if base < 0:
            return syscalls.open_own_namespace()
        syscalls.setns(base)
    except PermissionError:
        return syscalls.open_own_namespace()
    return base


def may_make_namespaces() -> bool:
    """Whether this process may, as it is; it is in another than its parent's then, if there is no way back."""
    try:
        with Step("create the namespace", _causes.NETWORK):
            syscalls.unshare()
    except Refused as refused:
        if isinstance(refused.__cause__, PermissionError):
            return False
        raise
    return True


def unshare_within(seconds: float) -> None:
    """Move into a new namespace, at a limit as soon as the kernel has taken down those of the child before."""
    deadline = syscalls.monotonic() + seconds
    while True:
        try:
            return syscalls.unshare()
        except OSError as error:
            if error.errno not in PASSING or syscalls.monotonic() > deadline:
                raise
        syscalls.sleep(UNSHARE_PAUSE)


def main(control: int, parent: int, base: int, record_number: int, userns: int, mounts: int, patience: int) -> None:
    """Run the resident child.

    :param control: its end of the control socket.
    :param parent: the pid of the process it serves.
    :param base: a descriptor of the namespace to be in between requests.
    :param record_number: tells its record from others of the parent; the child that replaces it gets the same.
    :param userns: a descriptor of the user namespace of the child before it, or whether to make one.
    :param mounts: a descriptor of the mount namespace of the child before it, if that had names of its own, or -1.
    :param patience: how long each step may wait for others before it does without them, in milliseconds.
    """
    # The parent's end is the only signal that counts: Ctrl-C and a job runner's SIGTERM reach the whole group.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a supervisor may have it ignored, and so inherited
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gc.disable()  # there are no cycles to collect, and no pauses to take
    undo_the_dead(patience / 1000)  # as the user we are outside
    record = open_journal(parent, record_number)
    record.listen()
    original = syscalls.namespace_id(base)
    base, refused = find_base(base, userns, patience / 1000)
    if mounts >= 0 and base >= 0:
        syscalls.setns(mounts, syscalls.CLONE_NEWNS)
    channel = socket.SocketType(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, control)
    verbs = Verbs(parent, base, record, refused, mounts >= 0, original)
    server = Server(channel, verbs)
    if server.serve():
        # Not where it ends by an exception: then the parent lives, and starts another that takes over.
        server.look()
        if server.keeper.kept:
            server.stay()
        verbs.clean_up()
    elif not verbs.namespaces:
        record.close()
