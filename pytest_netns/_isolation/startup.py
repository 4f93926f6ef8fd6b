"""What a run takes: privileges or a user namespace, and for isolation a network namespace of its own."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from .._errors import NetNSError, is_meant
from .._linux import proc, syscalls

if TYPE_CHECKING:
    from argparse import Namespace
    from types import FrameType

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

ORIGINAL = "the namespace that the process comes from"


def text(userns: str, isolate: str) -> str:
    """Say in a few words how namespaces will be made, as far as it can be told without trying.

    :param userns: as given by ``--netns-userns``.
    :param isolate: as given by ``--netns-isolate``.
    """
    isolation = {
        "off": "",
        "test": ", each test inside one of its own",
        "class": ", the tests of each class inside one of their own",
        "module": ", the tests of each module inside one of their own",
        "session": ", all tests of a process inside one of their own",
        "worker": ", each process that runs tests inside one of its own",
    }
    return _privilege(userns) + isolation[isolate]


def _privilege(userns: str) -> str:
    if proc.is_in_user_namespace_of_pytest():
        return "rootless, pytest itself in a user namespace and without a network"
    if userns == "resident":
        return "in a user namespace of the resident child, as given by --netns-userns"
    if proc.has_capability(syscalls.CAP_SYS_ADMIN):
        return "as root" if os.geteuid() == 0 else "with CAP_SYS_ADMIN"
    if userns == "auto":
        return "rootless, in a user namespace of the resident child"
    return "without CAP_SYS_ADMIN (pytest --netns-doctor says what this machine can do)"


def where_without_network(isolate: str, *, scope: str | None, is_marked: bool) -> str:
    """Say where a test ran that could reach nothing outside, or nothing if it could.

    :param scope: what shares the namespace of an isolated test.
    :param is_marked: whether it is isolated by its marker.
    """
    if scope is not None:
        owner = "its own" if scope == "test" else f"its {scope}'s"
        who = "its marker netns_isolate" if is_marked else f"--netns-isolate={isolate}"
        return f"inside {owner} network namespace, as given by {who}"
    if isolate == "worker":
        return "inside the network namespace of its process, as given by --netns-isolate=worker"
    if proc.is_in_user_namespace_of_pytest():
        return "in a user namespace of pytest's, as given by --netns-userns=process"
    return ""


def enter(userns: str, isolate: str, given: Namespace) -> int | None:
    """Have this process enter a user namespace, or the main thread a network namespace, where the settings ask for it.

    :param given: the command line, as pytest has parsed it.
    :return: a descriptor of the network namespace that the main thread has left, owned by the caller, if it has.
    :raises NetNSError: it cannot.
    """
    if _needs_user_namespace(userns, isolate) and not proc.is_in_user_namespace_of_pytest():
        _enter_user_namespace(userns, isolate, given)
    if isolate == "off":
        return None
    if not proc.has_capability(syscalls.CAP_SYS_ADMIN):
        raise NetNSError(
            f"--netns-isolate={isolate} needs CAP_SYS_ADMIN, or a user namespace for pytest itself, and "
            f"--netns-userns={userns} makes none; valid here are: auto, process"
        )
    if isolate != "worker" or (_has_workers(given) and not is_worker()):
        return None
    from .isolation import move_into_new

    return move_into_new()


def _needs_user_namespace(userns: str, isolate: str) -> bool:
    if userns == "auto":
        return isolate != "off" and not proc.has_capability(syscalls.CAP_SYS_ADMIN)
    return userns == "process"


def _enter_user_namespace(userns: str, isolate: str, given: Namespace) -> None:
    asked = "--netns-userns=process" if userns == "process" else f"--netns-isolate={isolate}"
    if is_worker():
        raise NetNSError(
            f"{asked}: without root, pytest has to enter a user namespace, and a remote worker cannot, since it has "
            "threads (unshare(2)); give --netns-userns=resident, or let root run the worker"
        )
    if not all(_is_local(spec) for spec in getattr(given, "tx", None) or ()):
        raise NetNSError(
            f"{asked}: without root, pytest enters a user namespace, from which no remote worker can be reached; "
            "start the run on the machine of the worker, or give --netns-userns=resident"
        )
    from . import process_userns

    process_userns.enter()


# What pytest-xdist does, at a time when its own hooks have not run yet.


def _has_workers(given: Namespace) -> bool:
    """Whether others run the tests: by ``-n``, ``-d``, or ``--dist`` (with ``--tx``)."""
    is_distributed = getattr(given, "distload", False) or getattr(given, "dist", "no") != "no"
    return bool(getattr(given, "numprocesses", None)) or is_distributed


def _is_local(spec: str) -> bool:
    """Whether workers are children of this process: ``popen``, ``3*popen//python=...``."""
    return spec.rpartition("*")[2].startswith("popen")


def is_worker() -> bool:
    """Whether this process is a worker, by what runs it; what a test of a worker starts inherits the environment."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        if frame.f_globals.get("__name__") == "__channelexec__":  # what execnet was sent to run
            return True
        frame = frame.f_back
    return False
