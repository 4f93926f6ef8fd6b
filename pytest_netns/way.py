"""The way a run goes: with privilege, or in which user namespace, and whether inside a network of its own."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from . import kernel
from .errors import NetNSError

if TYPE_CHECKING:
    from .settings import Settings

__tracebackhide__ = True  # a failed test's report ends in the test; --full-trace shows the rest

CAP_SYS_ADMIN = 21  # <linux/capability.h>


def is_privileged() -> bool:
    """Whether this process has the capability to make network namespaces, and to go into them."""
    with open("/proc/self/status", "rb") as file:
        capabilities = next(int(line.split()[1], 16) for line in file if line.startswith(b"CapEff:"))
    return bool(capabilities >> CAP_SYS_ADMIN & 1)


def text(settings: Settings) -> str:
    """Say in a few words how namespaces will be made, as far as it can be told without trying."""
    isolation = {
        "off": "",
        "test": ", each test inside one of its own",
        "worker": ", each process that runs tests inside one of its own",
    }
    return _privilege(settings) + isolation[settings.isolate]


def _privilege(settings: Settings) -> str:
    if kernel.is_in_user_namespace_of_pytest():
        return "rootless, pytest itself in a user namespace and without a network"
    if settings.userns == "resident":
        return "in a user namespace of the resident child, as --netns-userns has it"
    if is_privileged():
        return "as root" if os.geteuid() == 0 else "with CAP_SYS_ADMIN"
    if settings.userns == "auto":
        return "rootless, in a user namespace of the resident child"
    return "without CAP_SYS_ADMIN (pytest --netns-doctor says what this machine can do)"


def where_without_network(settings: Settings, *, is_isolated: bool) -> str:
    """Say where a test ran that had no way out, or nothing if it had one."""
    if is_isolated:
        return "inside its own network namespace, as " + (
            "--netns-isolate=test has it" if settings.isolate == "test" else "its marker netns_isolate has it"
        )
    if settings.isolate == "worker":
        return "inside the network namespace of its process, as --netns-isolate=worker has it"
    if kernel.is_in_user_namespace_of_pytest():
        return "in a user namespace of pytest's, as --netns-userns=process has it"
    return ""


def go(settings: Settings, *, is_controller: bool, is_worker: bool, has_remote_workers: bool) -> int | None:
    """Go the way that the settings ask for, as far as the process itself has to.

    :param is_controller: other processes run the tests.
    :param is_worker: it is one of those.
    :param has_remote_workers: some of them are not started as children here.
    :return: a descriptor of the namespace that the main thread has left, owned by the caller, if it has left one.
    :raises NetNSError: it cannot be gone.
    """
    inside = settings.userns == "process" or (
        settings.userns == "auto" and settings.isolate != "off" and not is_privileged()
    )
    if inside and not kernel.is_in_user_namespace_of_pytest():
        _enter_user_namespace(settings, is_worker, has_remote_workers)
    if settings.isolate == "off":
        return None
    if not is_privileged():
        raise NetNSError(
            f"--netns-isolate={settings.isolate} moves pytest itself, which takes CAP_SYS_ADMIN or a user namespace of "
            f"its own, and --netns-userns={settings.userns} makes none; valid here are: auto, process"
        )
    if settings.isolate == "test" or is_controller:
        return None
    from .isolation import move_into_new

    return move_into_new()


def _enter_user_namespace(settings: Settings, is_worker: bool, has_remote_workers: bool) -> None:
    asked = "--netns-userns=process" if settings.userns == "process" else f"--netns-isolate={settings.isolate}"
    if has_remote_workers:
        raise NetNSError(
            f"{asked}: without root, pytest goes into a user namespace, from which no remote worker can be reached; "
            "start the run on the machine of the worker, or give --netns-userns=resident"
        )
    if is_worker:
        raise NetNSError(
            f"{asked}: without root, pytest goes into a user namespace, which a remote worker cannot, since it has "
            "threads (unshare(2)); give --netns-userns=resident, or let root run the worker"
        )
    from . import userns

    userns.enter()
