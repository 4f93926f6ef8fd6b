"""The helpers of ``multiprocessing``, its fork server and resource tracker: they outlive a test, and start outside."""

from __future__ import annotations

import functools
import posix as os  # see syscalls.py
from collections.abc import Callable
from contextlib import AbstractContextManager
from multiprocessing import forkserver, resource_tracker, spawn
from typing import Any

from .._linux import syscalls

KEY = "netns"  # among what a new process gets; multiprocessing does not look at keys that it does not know
ENTER = """
import ctypes, os
if os.stat("/proc/self/ns/net").st_ino != os.stat({path!r}).st_ino:
    fd = os.open({path!r}, os.O_RDONLY | os.O_CLOEXEC)
    if ctypes.CDLL(None, use_errno=True).setns(fd, {kind}):
        raise OSError(ctypes.get_errno(), "cannot follow the test into its network namespace")
    os.close(fd)
"""


class _Entry:
    """What a process of the fork server unpickles before anything else: by that it enters the namespace.

    The code comes along, since that process finds our package only when it has got its ``sys.path``.
    """

    def __init__(self, path: str) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return exec, (ENTER.format(path=self._path, kind=syscalls.CLONE_NEWNET), {})


class Helpers:
    """Has the helpers start in the original namespace, and what the fork server forks follow the test.

    :param outside: makes the block in which a helper is started.
    :param current: returns a descriptor of the namespace that the calling thread is in, ``None`` for the original one.
    """

    def __init__(self, outside: Callable[[], AbstractContextManager[None]], current: Callable[[], int | None]) -> None:
        self._originals: list[tuple[Any, str, Any]] = []

        def start_outside(start: Callable[..., Any]) -> Callable[..., Any]:
            @functools.wraps(start)
            def wrapper(*args: Any, **kwargs: Any) -> Any:
                with outside():
                    return start(*args, **kwargs)

            return wrapper

        def prepare(name: str) -> dict[str, Any]:
            data = original(name)
            ns = current()
            return data if ns is None else {KEY: _Entry(f"/proc/{os.getpid()}/fd/{ns}"), **data}

        original = spawn.get_preparation_data
        self._replace(spawn, "get_preparation_data", prepare)
        # Since CPython gh-131788 (in later bug fixes of 3.13 and 3.14), what is registered with the resource tracker
        # starts it too, without ensure_running(). Both call _launch() there.
        tracker = resource_tracker.ResourceTracker
        launch = "_launch" if hasattr(tracker, "_launch") else "ensure_running"
        for kind, name in ((forkserver.ForkServer, "ensure_running"), (tracker, launch)):
            self._replace(kind, name, start_outside(getattr(kind, name)))

    def _replace(self, owner: Any, name: str, value: object) -> None:
        self._originals.append((owner, name, getattr(owner, name)))
        setattr(owner, name, value)

    def close(self) -> None:
        """Put back what was there."""
        while self._originals:
            setattr(*self._originals.pop())
