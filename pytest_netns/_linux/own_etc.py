"""A mount namespace with files of its own in place of some of /etc; the machine's stay as they are.

The resident child imports this module too, so it stays with what the standard library gives cheaply.
"""

from __future__ import annotations

import os

from . import syscalls
from .run_netns import mirror

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

ETC = "/etc"
CACHE = (
    "/run/nscd"  # where nscd(8) answers, which programs ask before they read /etc/hosts, and which is in no namespace
)


def make(files: Mapping[str, str]) -> list[int]:
    """Move this process, which is to have one thread and to end soon, into a new mount namespace, and fill that.

    What is mounted there is gone with the last process or descriptor that refers to it.

    :param files: names below /etc, and what these files have there.
    :return: a descriptor of the mount namespace, and one of each file, by which it can be written anew.
    """
    syscalls.unshare(syscalls.CLONE_NEWNS)
    _go_to_its_root()
    if os.path.isdir(CACHE):
        syscalls.mount("tmpfs", CACHE, syscalls.MS_RDONLY, kind="tmpfs")
    below = {name: _open_path(name) for name in files}
    etc = os.open(ETC, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    syscalls.mount("tmpfs", ETC, 0, kind="tmpfs")
    if None in below.values():  # there is nothing to mount it on, and /etc itself is not to be touched
        mirror(etc, ETC, without=files)
        return [_open_own(), *(_write(name, content) for name, content in files.items())]
    written = [_write(name, content) for name, content in files.items()]
    for name, target in below.items():
        syscalls.mount(f"{ETC}/{name}", f"/proc/self/fd/{target}", syscalls.MS_BIND)
    syscalls.unmount(ETC)
    return [_open_own(), *written]


def _go_to_its_root() -> None:
    """Let what this process sees at / be what all see who join its mount namespace, also if it was in a chroot(2).

    Who joins is in the root directory of the mount namespace (setns(2)).
    """
    was = os.stat("/")
    directory = os.open("/", os.O_PATH | os.O_CLOEXEC)
    syscalls.setns(_open_own(), syscalls.CLONE_NEWNS)
    syscalls.mount("", "/", syscalls.MS_SLAVE | syscalls.MS_REC)  # or what is mounted here would show everywhere
    if os.path.samestat(was, os.stat("/")):
        return
    path = os.readlink(f"/proc/self/fd/{directory}")
    syscalls.mount(path, path, syscalls.MS_BIND | syscalls.MS_REC)  # only a mount can be moved
    os.chdir(path)
    syscalls.mount(".", "/", syscalls.MS_MOVE)
    os.chroot(".")


def _open_path(name: str) -> int | None:
    try:
        return os.open(f"{ETC}/{name}", os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:  # or a link that leads nowhere
        return None


def _open_own() -> int:
    return os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)


def _write(name: str, content: str) -> int:
    fd = os.open(f"{ETC}/{name}", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC)
    os.fchmod(fd, 0o644)
    rewrite(fd, content)
    return fd


def rewrite(fd: int, content: str) -> None:
    """Let a file have another content."""
    data = content.encode()
    os.ftruncate(fd, 0)
    written = 0
    while written < len(data):
        written += os.pwrite(fd, data[written:], written)
