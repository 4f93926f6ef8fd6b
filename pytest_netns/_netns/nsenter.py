"""How a command enters a namespace that belongs to another user namespace, by nsenter(1)."""

from __future__ import annotations

import errno
import os
import posix
import shutil
from collections.abc import Callable, Mapping
from typing import Any

from .._errors import NetNSUnsupportedError, is_meant
from .._linux import syscalls

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


class Through:
    """Starts commands in a namespace of another user namespace, which no thread of this process can enter.

    A process of one thread can (setns(2)), so it is left to one that then becomes the command.

    :param ns: a descriptor of the namespace, which stays open as long as this object is used.
    :param mounts: returns a descriptor of the mount namespace to join, if there is one.
    """

    def __init__(self, ns: int, mounts: Callable[[], int | None]) -> None:
        nsenter = shutil.which("nsenter")
        if nsenter is None:
            raise NetNSUnsupportedError(
                errno.ENOENT,
                "nsenter(1) is missing, with which commands join another user namespace; install util-linux",
            )
        self._nsenter = nsenter
        self._ns = ns
        self._mounts = mounts
        self._fds: list[int] = []
        self._owner = syscalls.open_owner(ns, self._fds)

    def descriptors(self) -> set[int]:
        return set(self._fds)

    def close(self) -> None:
        syscalls.close_all(self._fds)

    def command(self, args: Any, kwargs: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return what to give to ``subprocess.Popen`` instead of these arguments.

        :raises OSError: there is no such command, as ``subprocess.Popen`` raises it.
        """
        kwargs = dict(kwargs)
        command = [args] if isinstance(args, (str, bytes, os.PathLike)) else list(args)
        if kwargs.pop("shell", False):
            command = ["/bin/sh", "-c", *command]
        executable = kwargs.pop("executable", None)
        if executable is not None:
            command[0] = executable
        _check(command[0], kwargs.get("env"), kwargs.get("cwd"))
        here = f"/proc/{posix.getpid()}/fd"
        namespaces = [f"--user={here}/{self._owner}", f"--net={here}/{self._ns}"]
        mounts = self._mounts()
        if mounts is not None:
            namespaces.append(f"--mount={here}/{mounts}")
            # Who joins a mount namespace is in its root directory then (setns(2)).
            command = ["/bin/sh", "-c", 'cd -- "$0" && exec "$@"', os.path.abspath(kwargs.get("cwd") or "."), *command]
        return [self._nsenter, "--preserve-credentials", *namespaces, "--", *command], kwargs


def _check(command: Any, env: Mapping[str, str] | None, cwd: Any) -> None:
    name = os.fsdecode(command)
    path = (os.environ if env is None else env).get("PATH", os.defpath)
    found = os.path.join(os.fsdecode(cwd or "."), name) if "/" in name else shutil.which(name, os.F_OK, path)
    if found is None or not os.path.exists(found):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
    if not os.access(found, os.X_OK) or os.path.isdir(found):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
