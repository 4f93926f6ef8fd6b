"""What to do about a step that failed on this machine, told from its errno and from what the kernel says of itself."""

from __future__ import annotations

import errno
import os
import pwd
import shutil

from .. import _causes
from .._linux import id_maps, proc, syscalls

CONTAINER = "docker/podman run --cap-add SYS_ADMIN --cap-add NET_ADMIN --security-opt apparmor=unconfined"


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


def _status(field: str) -> str:
    return next((line.split()[1] for line in _read("/proc/self/status").splitlines() if line.startswith(field)), "0")


def for_refusal(number: int) -> str:
    """Return the remedy for a step that takes privileges which the process may or may not have."""
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
    if number in (errno.ENOSPC, errno.EUSERS):
        return _causes.limit_of(_causes.USER)
    if _read("/proc/sys/kernel/unprivileged_userns_clone") == "0":
        return "sysctl -w kernel.unprivileged_userns_clone=1"
    if _read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1":
        return "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    if number == errno.EINVAL:
        return _causes.NEXT_STEP[_causes.USER][number]
    if _status("Seccomp:") == "2":
        return "lift the seccomp filter (docker/podman run --security-opt seccomp=unconfined)"
    return "lift what forbids user namespaces, such as a chroot, AppArmor or SELinux"


def for_mount_namespace(number: int) -> str:
    """Return what to do where none can be made."""
    if number == errno.ENOSPC:
        return _causes.limit_of(_causes.MOUNTS)
    return for_refusal(number)


def for_tun(number: int) -> str:
    """Return what to do where it cannot be opened."""
    if number in (errno.EACCES, errno.EPERM):
        return "chmod 0666 /dev/net/tun (as root, outside)"
    return "modprobe tun (as root, outside), or docker/podman run --device /dev/net/tun"


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


def for_net_namespace(number: int) -> str:
    """Return what to do where none can be made."""
    if number == errno.ENOSPC:
        return _causes.limit_of(_causes.NETWORK)
    if number == errno.EINVAL:
        return _causes.NEXT_STEP[_causes.NETWORK][number]
    if _read("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" and os.getuid():
        return "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    return for_refusal(number)
