"""The user namespace that pytest itself enters, with the network and the mounts that go with it."""

from __future__ import annotations

import contextlib
import os
import pwd

from .._child.resident.journal import undo_the_dead
from .._errors import NetNSError, from_errno, is_meant
from .._linux import id_maps, loopback, proc, run_netns, syscalls

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


def enter() -> None:
    """Move this process into a user namespace, where it is root, with a network of its own that has loopback alone.

    It takes a process of one thread (unshare(2)). There is no way back, and so none to the network outside.

    :raises NetNSError: it may not, or has threads.
    """
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        raise NetNSError(
            f"cannot enter a user namespace: the process has {threads} threads, and only a process of one thread can "
            "(unshare(2)); start threads later, from a conftest.py, or start pytest by unshare -Urn"
        )
    who, before = User(), proc.user_namespace()
    undo_the_dead()  # from inside, the processes of other sessions cannot be looked into (ptrace(2))
    step = "become root in a user namespace"
    try:
        id_maps.become_root(syscalls.CLONE_NEWNET)
        step = "bring lo up"
        loopback.complete()
    except OSError as error:
        raise from_errno(error.errno or 0, f"cannot {step}", remedy="pytest --netns-doctor says why") from error
    who.keep()
    with contextlib.suppress(OSError):  # then a name is refused when one is asked for
        syscalls.unshare(syscalls.CLONE_NEWNS)
        run_netns.make_own_directory()
    os.environ[proc.ENTERED] = f"{proc.user_namespace()} {before}"


class User:
    """Who runs pytest, as seen from outside."""

    def __init__(self) -> None:
        uid = os.geteuid()
        self._name, self._original_ns = str(uid), None
        with contextlib.suppress(KeyError):  # a uid that has no name, as in containers
            entry = pwd.getpwuid(uid)
            self._name, self._original_ns = entry.pw_name, entry.pw_dir

    def keep(self) -> None:
        """Let getpass.getuser() and os.path.expanduser() still say what they said outside."""
        if not any(os.environ.get(name) for name in ("LOGNAME", "USER", "LNAME", "USERNAME")):
            os.environ["LOGNAME"] = self._name
        if self._original_ns is not None:
            os.environ.setdefault("HOME", self._original_ns)
