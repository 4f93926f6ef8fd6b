"""What other programs of the user ask of a resident child, and how it stays with namespaces that are kept.

``python -m pytest_netns`` asks over a socket in the directory of the journal, which is open to this user alone: during
a session, and after it as long as namespaces of failed tests are kept. Then this process is all that is left of the
session. It holds the namespaces, and reads what their programs write to pipes that pytest has held, so that they go on.
"""

from __future__ import annotations

import errno
import marshal
import os

from ..._linux import syscalls
from ..reply import OK, Step
from . import requests
from .reaper import Failed, kill_processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .namespaces import Namespace
    from .verbs import Verbs

    Verb = Callable[..., tuple[bytes, list[int]]]

CHUNK = 1 << 16  # bytes: what a pipe has room for (pipe(7))


class Keeper:
    """What is asked from outside of the session, and the namespaces that outlive it.

    :param verbs: the namespaces of the session.
    """

    def __init__(self, verbs: Verbs) -> None:
        self._verbs = verbs
        self.kept: dict[int, Namespace] = {}
        """Those that stay when the session ends."""
        self.has_parent = True
        self.until = 0.0
        """When they end at the latest, as of ``syscalls.monotonic()``."""
        self.by_name: dict[bytes, Verb] = {
            requests.LIST: self.list_all,
            requests.ENTER: self.enter,
            requests.END: self.end,
        }

    def stay(self, given: list[int], seconds: float, items: list[tuple[int, str, int, int]]) -> tuple[bytes, list[int]]:
        """Take note of what stays when the session ends.

        :param given: descriptors, of which this takes those that it owns from then on.
        :param seconds: how long it stays at most.
        :param items: for each namespace its key, the test that has failed, and of the descriptors that are next how
            many are a mount namespace, and then pipes of its programs.
        """
        if self._verbs.record.listener is None:
            with Step("keep namespaces without a socket to be asked by"):
                raise LookupError(self._verbs.record.without_socket)
        for key, test, mounts, pipes in items:
            namespace = self._verbs.namespaces[key]
            namespace.test = test
            for owned, count in ((namespace.mounts, mounts), (namespace.pipes, pipes)):
                owned += given[:count]
                del given[:count]
            self.kept[key] = namespace
        self.until = syscalls.monotonic() + seconds
        return OK, []

    def unbind(self, key: int) -> tuple[bytes, list[int]]:
        """Remove the name of a namespace that is to stay, which the next test, or run, may want."""
        namespace = self._verbs.namespaces[key]
        with Step(f"remove the name {namespace.name}"):
            namespace.remove_name()
        self._verbs.put_on_record(key, None)
        return OK, []

    def list_all(self) -> tuple[bytes, list[int]]:
        """Tell what there is: the pid of pytest, and each namespace."""
        now = syscalls.monotonic()
        found = [
            (key, *syscalls.namespace_id(one.fd), one.label, one.test, now - one.since, key in self.kept)
            for key, one in self._known().items()
        ]
        return OK + marshal.dumps((self._verbs.parent, self.has_parent, found), requests.ANY_PYTHON), []

    def _known(self) -> dict[int, Namespace]:
        return {**self._verbs.namespaces, **self.kept}

    def enter(self, key: int) -> tuple[bytes, list[int]]:
        """Pass a namespace, and the mount namespace that its commands are in if there is one."""
        with Step("find the namespace"):
            namespace = self._known()[key]
        with Step("pass the namespace"):
            fds = [os.dup(namespace.fd), *(os.dup(fd) for fd in namespace.mounts)]
            if self._verbs.has_own_names and not namespace.mounts:
                fds.append(os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC))
        return OK, fds

    def end(self, key: int) -> tuple[bytes, list[int]]:
        """Kill what runs in a namespace that is kept, and let go of it."""
        with Step("end it as long as its session goes on"):
            if self.has_parent:
                raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
        with Step("find the namespace"):
            namespace = self.kept[key]
        with Step("end its processes"):
            self._kill(namespace)
        del self.kept[key]
        namespace.close()
        self._verbs.record.remove(key)
        return OK, []

    def _kill(self, namespace: Namespace) -> None:
        try:
            kill_processes({syscalls.namespace_id(namespace.fd)}, self._verbs.original)
        except Failed:
            raise OSError(errno.EBUSY, "they were killed and do not end") from None

    def pipes(self) -> dict[int, Namespace]:
        """Return the pipes of the programs in what is kept."""
        return {fd: namespace for namespace in self.kept.values() for fd in namespace.pipes}

    def take_over(self) -> None:
        """Undo what the session has left but for what is kept, since its process has gone."""
        self.has_parent = False
        for key in self.kept:
            del self._verbs.namespaces[key]
        self._verbs.clean_up(is_last=False)
        for spare in [*self._verbs.spares.values(), *self._verbs.namespaces.values()]:
            spare.close()
        for key in self._verbs.namespaces:
            self._verbs.record.remove(key)
        self._verbs.spares, self._verbs.namespaces = {}, self.kept


def drain(fd: int) -> bool:
    """Read what a program has written to a pipe; return whether it may write more."""
    try:
        return bool(os.read(fd, CHUNK))
    except BlockingIOError:
        return True
    except OSError:
        return False  # the end of a pipe that the program reads from
