"""How the processes in namespaces, and what these have started, are signalled and ended: those, and no others.

A pid alone says little: it may be that of another process by the time it is signalled, or made up. So a process is
signalled by a pidfd (pidfd_open(2)), once it was seen, with the pidfd open, to be inside one of the namespaces, or to
descend from a command that the test process has started. Never signalled are the pids 1 and 2, our ancestors, and
anything in the original namespace of the test process.
"""

from __future__ import annotations

import os

from ..._linux import proc, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable, Iterable

    Identity = tuple[int, int]
else:
    import _signal as signal  # without the enumerations, which take milliseconds

ROUNDS = 40  # times to look for processes
PAUSE = 0.02  # seconds between two looks
COMMAND_LENGTH = 120  # characters


class Failed(Exception):
    """Processes that were killed do not end."""


class Found:
    """A process that was found, by its pidfd where the kernel has those, and by when it started."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._pidfd = syscalls.open_pidfd(pid)
        self._since = proc.start_time(pid)

    def is_running(self) -> bool:
        return self._since is not None and proc.start_time(self.pid) == self._since

    def signal(self, number: int) -> None:
        try:
            if self._pidfd is not None:
                signal.pidfd_send_signal(self._pidfd, number)
            elif self.is_running():
                os.kill(self.pid, number)
        except ProcessLookupError:
            return  # it has ended
        except PermissionError:
            return  # another user's; it is named if it does not end

    def close(self) -> None:
        pidfd, self._pidfd = self._pidfd, None
        if pidfd is not None:
            os.close(pidfd)


class Look:
    """The processes that there are, as one look at all of them finds them.

    It serves any number of namespaces: of each process it asks once where it is, and who its parent is.
    """

    def __init__(self) -> None:
        self.pids = {int(entry) for entry in os.listdir("/proc") if entry.isdecimal()}
        self.ancestors = _ancestors()
        self._namespaces: dict[int, Identity | None] = {}
        self._children: dict[int, list[int]] | None = None

    def namespace_of(self, pid: int) -> Identity | None:
        if pid not in self._namespaces:
            self._namespaces[pid] = namespace_of(pid)
        return self._namespaces[pid]

    def children(self, pid: int) -> list[int]:
        if self._children is None:
            self._children = {}
            for one in self.pids:
                fields = proc.status_of(one)
                if fields is not None:
                    self._children.setdefault(int(fields[1]), []).append(one)
        return self._children.get(pid, [])

    def descendants(self, roots: set[int], parent: int, known: set[int]) -> set[int]:
        """Return those that descend from the roots, if these are children of the parent, and from what is known."""
        left = [pid for pid in self.children(parent) if pid in roots]
        left += known
        found: set[int] = set()
        while left:
            for pid in self.children(left.pop()):
                if pid not in found:
                    found.add(pid)
                    left.append(pid)
        return found


class Reaper:
    """Signals what runs in namespaces and what commands in them have started, from one look to the next.

    :param inhabited: the namespaces, as of ``syscalls.namespace_id``.
    :param original: that of the test process, of which nothing is signalled.
    :param is_meant: whether the process with this pid really is in one of them.
    """

    def __init__(
        self, inhabited: set[Identity], original: Identity, is_meant: Callable[[int], bool] = lambda pid: True
    ) -> None:
        self._inhabited = inhabited - {original}
        self._original = original
        self._is_meant = is_meant
        self._known: dict[int, Found] = {}
        self._strays: dict[int, int | None] = {}

    def close(self) -> None:
        while self._known:
            self._known.popitem()[1].close()

    def signal(
        self,
        number: int,
        roots: Iterable[int] = (),
        parent: int = 0,
        spared: Iterable[int] = (),
        look: Look | None = None,
    ) -> list[int]:
        """Look for processes, send a signal to each, and return the pids of those that have not ended.

        :param number: the signal, or 0 for none.
        :param roots: pids of commands, children of ``parent``; what descends from them is meant too, wherever it is but
            in the original namespace. They themselves are for their parent to signal, unless they are inside.
        :param parent: the pid of the test process, which is spared.
        :param spared: the pids of others that are.
        :param look: one that was just made, if it serves other namespaces too.
        """
        look = look or Look()
        self._forget_the_ended()
        heirs = look.descendants(set(roots), parent, set(self._known)) if roots or self._known else set()
        for pid in look.pids - look.ancestors - {0, 1, 2, parent, *spared} - set(self._known):
            if self._is_to_end(pid, pid in heirs, look.namespace_of):
                self._add(pid, pid in heirs)
        self._strays |= {pid: proc.start_time(pid) for pid in heirs if look.namespace_of(pid) == self._original}
        if number:
            for found in self._known.values():
                found.signal(number)
        return sorted(self._known)

    def strays(self) -> list[int]:
        """Return the pids of what descends from the commands, has gone to the original namespace, and still runs."""
        return [pid for pid, since in self._strays.items() if since is not None and proc.start_time(pid) == since]

    def _forget_the_ended(self) -> None:
        for pid, found in list(self._known.items()):
            if not found.is_running():
                del self._known[pid]
                found.close()

    def _add(self, pid: int, is_heir: bool) -> None:
        """Add a process if it still is what it was, now that its pidfd is open."""
        try:
            found = Found(pid)
        except ProcessLookupError:
            return  # it has ended
        if found.is_running() and self._is_to_end(pid, is_heir, namespace_of):
            self._known[pid] = found
        else:
            found.close()

    def _is_to_end(self, pid: int, is_heir: bool, where: Callable[[int], Identity | None]) -> bool:
        namespace = where(pid)
        if namespace is None or namespace == self._original:
            return False
        return is_heir or (namespace in self._inhabited and self._is_meant(pid))


def namespace_of(pid: int) -> Identity | None:
    """Return what identifies the namespace of a process, or ``None`` where it has ended or is another user's.

    One whose first thread has ended before the others is in none; then one of the others tells.
    """
    try:
        return syscalls.namespace_id(f"/proc/{pid}/ns/net")
    except PermissionError:
        return None
    except (FileNotFoundError, ProcessLookupError):
        pass
    for task in proc.live_tasks(pid):
        try:
            return syscalls.namespace_id(f"/proc/{pid}/task/{task}/ns/net")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
    return None


def _ancestors() -> set[int]:
    """Return this process and those that it descends from."""
    found = set()
    pid = os.getpid()
    while pid > 0 and pid not in found:
        found.add(pid)
        fields = proc.status_of(pid)
        pid = 0 if fields is None else int(fields[1])
    return found


def command_of(pid: int) -> str:
    """Return the command line of a process, cut to one line, or its name where it has none any more."""
    for file in ("cmdline", "comm"):
        try:
            with open(f"/proc/{pid}/{file}", "rb") as opened:
                words = opened.read().replace(b"\0", b" ").decode(errors="replace").split()
        except OSError:
            break
        if words:
            line = " ".join(words)
            return line if len(line) <= COMMAND_LENGTH else line[:COMMAND_LENGTH] + " ..."
    return "it has ended just now"


def kill_processes(
    inhabited: set[Identity], original: Identity, is_meant: Callable[[int], bool] = lambda pid: True
) -> None:
    """Kill the processes in namespaces until there are none.

    :param inhabited: the namespaces, as ``syscalls.namespace_id`` gives them.
    :param original: the namespace of which nothing is killed.
    :param is_meant: whether the process with this pid really is in one of them.
    :raises Failed: there still are some.
    """
    if not inhabited:
        return
    reaper = Reaper(inhabited, original, is_meant)
    try:
        for _ in range(ROUNDS):
            if not reaper.signal(int(signal.SIGKILL)):
                return
            syscalls.sleep(PAUSE)
    finally:
        reaper.close()
    raise Failed
