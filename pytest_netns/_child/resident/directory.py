"""The directory of the records of this user: made by us, open to nobody else, and used by its descriptor alone."""

from __future__ import annotations

import errno
import os
import stat

from ..._errors import errno_name
from ..._linux import proc

OVERFLOW_UID = 65534  # whom a user that a user namespace does not have appears as (user_namespaces(7))
WRITABLE_BY_OTHERS = 0o022


class Unusable(Exception):
    """Records cannot be kept in a directory, or at all.

    :param cause: where, and why.
    :param remedy: what to do about it.
    :param number: the errno, if there is one.
    """

    def __init__(self, cause: str, remedy: str, number: int = 0) -> None:
        super().__init__(cause)
        self.cause, self.remedy, self.number = cause, remedy, number

    @classmethod
    def from_error(cls, path: str, error: OSError) -> Unusable:
        remedies = {
            errno.ENOSPC: f"free space and inodes there (df {path}; df -i {path})",
            errno.EDQUOT: f"free space there, or raise the quota (df {path})",
            errno.EROFS: f"mount -o remount,rw {os.path.dirname(path)}",
            errno.EMFILE: "raise the limit of open files (ulimit -n)",
            errno.ENOTDIR: f"remove what is there (rm {path})",
            errno.ELOOP: f"remove what is there (rm {path})",
        }
        number = error.errno or 0
        return cls(f"{path}: {errno_name(number)}", remedies.get(number, f"let this user write to {path}"), number)


def parents() -> list[str]:
    """Return the directories that may hold that of the records: those that are cleared at boot come first."""
    found = ("/run", os.environ.get("XDG_RUNTIME_DIR"), os.environ.get("TMPDIR"), "/tmp")
    return list(dict.fromkeys(parent for parent in found if parent and os.path.isabs(parent)))


class Directory:
    """An open directory of records.

    :param parent: the directory above it.
    :param make: whether to make it if it is not there.
    :raises Unusable: it is not there, it cannot be opened, or others could change what is in it.
    """

    def __init__(self, parent: str, *, make: bool) -> None:
        self.path = f"{parent.rstrip('/')}/pytest-netns"
        try:
            name = f"pytest-netns-{proc.uid_outside()}"
            self.path = f"{parent.rstrip('/')}/{name}"
            above = os.open(parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                _check_parent(parent, os.fstat(above))
                if make:
                    _make(name, above)
                self.fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
            finally:
                os.close(above)
        except OSError as error:
            raise Unusable.from_error(self.path, error) from None
        try:
            _check(self.path, os.fstat(self.fd))
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


def _make(name: str, above: int) -> None:
    try:
        os.mkdir(name, 0o700, dir_fd=above)
    except FileExistsError:
        return


def _check_parent(path: str, status: os.stat_result) -> None:
    """Refuse a directory in which others could put another in the place of ours."""
    is_sticky = bool(status.st_mode & stat.S_ISVTX)
    is_trusted = status.st_uid in (0, os.geteuid())
    # Root of the machine is nobody in a user namespace that does not have it, and then cannot be told from others.
    if status.st_uid == OVERFLOW_UID and proc.user_namespace() != proc.INITIAL_USER_NAMESPACE:
        is_trusted = is_sticky
    if not is_trusted:
        raise Unusable(f"{path} belongs to another user, {status.st_uid}", f"chown root {path}, or name another TMPDIR")
    if status.st_mode & WRITABLE_BY_OTHERS and not is_sticky:
        raise Unusable(f"others can rename what is in {path}", f"chmod +t {path}, or name another TMPDIR")


def _check(path: str, status: os.stat_result) -> None:
    remedy = f"remove it (rm -r {path}, as root or who owns it)"
    if status.st_uid != os.geteuid():
        raise Unusable(f"{path} belongs to another user, {status.st_uid}", remedy)
    if stat.S_IMODE(status.st_mode) & 0o077:
        raise Unusable(f"{path} is open to others, its mode is {stat.S_IMODE(status.st_mode):o}", remedy)
