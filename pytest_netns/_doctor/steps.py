"""What the probes have in common: a step that may fail, with what to do then, and a namespace to try things in."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator

from .. import _causes
from .._errors import errno_name
from .._linux import id_maps, proc, syscalls
from . import remedies
from .remedies import CONTAINER

TIME_LIMIT = 10.0  # seconds for one probe; on a machine that is not stuck they take some milliseconds
ROOTLESS = "rootless"


class Failure(Exception):
    """A probe's step that failed."""

    def __init__(self, cause: str, remedy: str) -> None:
        super().__init__(cause)
        self.cause, self.remedy = cause, remedy


@contextlib.contextmanager
def step(what: str, remedy: Callable[[int], str] | str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        # pyroute2's errors have a code where those of the standard library have an errno.
        number = getattr(error, "code", None) or getattr(error, "errno", None)
        if not isinstance(number, int):
            raise
        text = remedy if isinstance(remedy, str) else remedy(number)
        raise Failure(f"{what}: {errno_name(number)}", text) from None


def enter_user() -> None:
    ids = os.geteuid(), os.getegid()
    # To map root, the process needs a capability itself (user_namespaces(7), CAP_SETFCAP since Linux 5.12).
    has_all = proc.has_capability(syscalls.CAP_SYS_ADMIN)
    remedy = remedies.for_user_namespace if ids[0] or has_all else f"give root its capabilities: {CONTAINER}"
    with step("unshare(CLONE_NEWUSER)", remedies.for_user_namespace):
        syscalls.unshare(syscalls.CLONE_NEWUSER)
    with step("mapping the user", remedy):
        id_maps.map_to_root(*ids)


def enter_net() -> str:
    """Move into a network namespace, through a user namespace where it must be; say which way it went."""
    if proc.has_capability(syscalls.CAP_SYS_ADMIN):
        with step("unshare(CLONE_NEWNET)", remedies.by_table(_causes.NETWORK)):
            syscalls.unshare()
        return "with CAP_SYS_ADMIN"
    try:
        enter_user()
    except Failure as failure:
        raise Failure(f"no CAP_SYS_ADMIN, and no user namespace instead: {failure.cause}", failure.remedy) from None
    with step("unshare(CLONE_NEWNET) in a user namespace", remedies.by_table(_causes.NETWORK)):
        syscalls.unshare()
    return f"{ROOTLESS}, through a user namespace"
