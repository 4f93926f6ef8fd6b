"""What to do about a step that failed on this machine.

``_causes`` is the one table of that, by the errno. Here is what the errno does not tell and the machine does: whether a
capability, a seccomp filter or AppArmor stands behind a refusal.
"""

from __future__ import annotations

import errno
import os
import pwd
import shutil
from collections.abc import Callable

from .. import _causes
from .._linux import id_maps, proc, syscalls

CONTAINER = "docker/podman run --cap-add SYS_ADMIN --cap-add NET_ADMIN --security-opt apparmor=unconfined"


LET_APPARMOR = "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"


def _is_restricted_by_apparmor() -> bool:
    return _read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1"


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


def _status(field: str) -> str:
    return next((line.split()[1] for line in _read("/proc/self/status").splitlines() if line.startswith(field)), "0")


REFUSALS = (errno.EPERM, errno.EACCES, errno.ENOSYS)


def by_table(kind: str) -> Callable[[int], str]:
    """Return what gives the remedy for a step of a kind, as of ``_causes``, by its errno."""

    def remedy(number: int) -> str:
        known = _causes.NEXT_STEP[kind].get(number) if number in REFUSALS else _causes.next_step(number, kind)
        return known or for_refusal(number)

    return remedy


def for_refusal(number: int) -> str:
    """Return the remedy for a step that takes privileges which the process may or may not have."""
    if _is_restricted_by_apparmor() and proc.user_namespace() != proc.INITIAL_USER_NAMESPACE:
        return LET_APPARMOR
    if number == errno.ENOSYS or (proc.has_capability(syscalls.CAP_SYS_ADMIN) and _status("Seccomp:") == "2"):
        return f"lift the seccomp filter ({CONTAINER} --security-opt seccomp=unconfined)"
    if not proc.has_capability(syscalls.CAP_SYS_ADMIN):
        return f"{without_privilege()}run pytest as root (sudo), or in a container with: {CONTAINER}"
    return f"lift what forbids it, such as AppArmor or SELinux ({CONTAINER})"


def without_privilege() -> str:
    """Return the remedy that takes none, where the machine allows it; this process is somewhere else then."""
    try:
        id_maps.become_root(syscalls.CLONE_NEWNET)
    except OSError:
        return ""
    return "give --netns-userns=process, "


def for_user_namespace(number: int) -> str:
    """Return what to do where none can be made."""
    known = _causes.NEXT_STEP[_causes.USER].get(number)
    if known and number not in REFUSALS:
        return known
    if _read("/proc/sys/kernel/unprivileged_userns_clone") == "0":
        return "sysctl -w kernel.unprivileged_userns_clone=1"
    if _is_restricted_by_apparmor():
        return LET_APPARMOR
    if _status("Seccomp:") == "2":
        return "lift the seccomp filter (docker/podman run --security-opt seccomp=unconfined)"
    return "lift what forbids user namespaces, such as a chroot, AppArmor or SELinux"


def for_users() -> str:
    """Return what to do where nobody is lent to this user."""
    uid = os.geteuid()
    if uid == 0:
        return "give root CAP_SETUID and CAP_SETGID (docker/podman run --cap-add SETUID --cap-add SETGID)"
    missing = [tool for tool in ("newuidmap", "newgidmap") if shutil.which(tool) is None]
    if missing:
        return f"install {' and '.join(missing)} (apt-get install uidmap)"
    return f"usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {_name_of(uid)} (as root, outside)"


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # a uid that has no name, as in containers
        return str(uid)
