"""The names of network namespaces, as of ip-netns(8): files under /run/netns that they are mounted on.

The resident child imports this module too, so it stays with what the standard library gives cheaply.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time

from . import syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container

DIRECTORY = "/run/netns"  # ip-netns(8)
RUN = os.path.dirname(DIRECTORY)
LONGEST = 255  # bytes: NAME_MAX of <linux/limits.h>


class Locked(BlockingIOError):
    """Somebody else holds the lock of the directory."""

    def __init__(self, holder: str) -> None:
        super().__init__(errno.EAGAIN, os.strerror(errno.EAGAIN))
        self.holder = holder


def why_not(name: str) -> str:
    """Say why something is not a single file name that shows as what it is; nothing if it is one."""
    try:
        length = len(os.fsencode(name))
    except UnicodeEncodeError:
        return "it has characters that no file name can have"
    if not name or "/" in name or name in (".", ".."):
        return "it is not a single file name"
    if any(ord(character) < 32 or 127 <= ord(character) < 160 for character in name):
        return "it has control characters"
    return f"it has {length} bytes, and a file name at most {LONGEST}" if length > LONGEST else ""


def bind(name: str) -> None:
    """Give the calling thread's namespace a name.

    :raises FileExistsError: the name is taken.
    :raises Locked: the directory is no mount yet, and somebody else holds its lock.
    """
    os.makedirs(DIRECTORY, mode=0o755, exist_ok=True)
    _share_directory()
    path = f"{DIRECTORY}/{name}"
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0))
    try:
        syscalls.mount("/proc/thread-self/ns/net", path, syscalls.MS_BIND)
    except BaseException:
        os.unlink(path)
        raise


def _share_directory() -> None:
    """Make the directory a shared mount, if it is none.

    Without that, a name would not show in other mount namespaces, and removing it there would not free it.
    """
    if _is_shared():
        return
    directory = os.open(DIRECTORY, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # iproute2 takes this lock too: two that make the directory a mount at once would pile mounts up.
        fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _is_shared():
            syscalls.mount(DIRECTORY, DIRECTORY, syscalls.MS_BIND | syscalls.MS_REC)
            syscalls.mount("", DIRECTORY, syscalls.MS_SHARED | syscalls.MS_REC)
    except BlockingIOError:
        raise Locked(_holder(os.fstat(directory))) from None
    finally:
        os.close(directory)


def _is_shared() -> bool:
    """Make the directory shared if it is a mount, and return whether it is."""
    try:
        syscalls.mount("", DIRECTORY, syscalls.MS_SHARED | syscalls.MS_REC)
    except OSError as error:
        if error.errno != errno.EINVAL:  # it is no mount point
            raise
        return False
    return True


def _holder(locked: os.stat_result) -> str:
    """Say which process has locked a file (proc_locks(5)).

    A file system may show another device there, as btrfs does; by its inode alone it may be another file, too.
    """
    device = f"{os.major(locked.st_dev):02x}:{os.minor(locked.st_dev):02x}"
    try:
        with open("/proc/locks", encoding="ascii") as file:
            locks = [line.split() for line in file]
        found = [fields for fields in locks if fields[1] == "FLOCK" and fields[5].endswith(f":{locked.st_ino}")]
        exact = [fields for fields in found if fields[5].startswith(f"{device}:")]
        for pid in (fields[4] for fields in exact or found):
            with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
                return f"process {pid} ({file.read().strip()})"
    except OSError:
        return "another process"  # it has ended meanwhile, or is in another pid namespace
    return "another process"


def remove(name: str, is_ours: Callable[[str], bool], age: float = 0.0) -> None:
    """Take a name away if it is ours; one that is gone already is no error.

    :param is_ours: whether the namespace that a path leads to is the one that had the name.
    :param age: how old a file, in seconds, has to be that is no name yet, for nobody to be about to make one of it.
    """
    path = f"{DIRECTORY}/{name}"
    try:
        status = os.stat(path)
        is_bare = status.st_dev == os.stat(DIRECTORY).st_dev
        if is_ours(path) or (is_bare and time.time() - status.st_mtime >= age):
            _unmount(path)
            os.unlink(path)
    except FileNotFoundError:
        return


def _unmount(path: str) -> None:
    try:
        syscalls.unmount(path)
    except OSError as error:
        if error.errno != errno.EINVAL:  # it is no mount point
            raise


def make_own_directory() -> None:
    """Mount a directory of names that only this mount namespace has, and that vanishes with it.

    It takes a mount namespace of a user namespace of our own, where /run is not ours to write to.
    """
    syscalls.mount("", "/", syscalls.MS_SLAVE | syscalls.MS_REC)
    if os.path.isdir(DIRECTORY):
        syscalls.mount("tmpfs", DIRECTORY, 0, kind="tmpfs")
        return
    below = os.open(RUN, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        syscalls.mount("tmpfs", RUN, 0, kind="tmpfs")
        try:
            mirror(below, RUN)
            os.mkdir(DIRECTORY)
            # Read-only, as it was for this user: who keeps something there is to keep it where others find it.
            syscalls.mount("", RUN, syscalls.MS_REMOUNT | syscalls.MS_BIND | syscalls.MS_RDONLY)
            syscalls.mount("tmpfs", DIRECTORY, 0, kind="tmpfs")
        except BaseException:
            syscalls.unmount(RUN)
            raise
    finally:
        os.close(below)


def mirror(below: int, directory: str, without: Container[str] = ()) -> None:
    """Show in a directory what is in the one that a mount there has covered, as mounts of the same files.

    :param below: a descriptor of that which is covered.
    :param without: the names of what is left out.
    """
    for entry in list(os.scandir(below)):
        source, target = f"/proc/self/fd/{below}/{entry.name}", f"{directory}/{entry.name}"
        if entry.name in without:
            continue
        if entry.is_symlink():
            os.symlink(os.readlink(entry.name, dir_fd=below), target)
            continue
        if entry.is_dir():
            os.mkdir(target)
        else:
            os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC))
        syscalls.mount(source, target, syscalls.MS_BIND | syscalls.MS_REC)
