"""Who is who in a user namespace of our own (user_namespaces(7)): its root is who makes it, and there may be more.

Programs that give up root once they are up, such as tcpdump, sshd or FRR, need users to become. Root lends its own; an
ordinary user is lent some by /etc/subuid and /etc/subgid (subuid(5)), with newuidmap(1). It is done from outside.

The resident child imports this module too, so it stays with what the standard library gives cheaply.
"""

from __future__ import annotations

import _socket as socket
import os
import pwd
import select

from . import proc, syscalls

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Iterator
else:
    import _signal as signal  # without the enumerations, which take milliseconds

GO = b"."
PATIENCE = 5.0  # seconds for newuidmap(1) and newgidmap(1), which may wait for a server that knows the users
Range = tuple[int, int, int]  # the first of it inside, the first of it outside, and how many; as in a uid_map


def become_root(kinds: int, patience: float = PATIENCE) -> bool:
    """Move this process into a new user namespace, as root there and as who it is outside, and into others with it.

    It takes a process of one thread (unshare(2)).

    :param kinds: the other namespaces, as of unshare(2).
    :param patience: seconds to wait for other users; without an answer, root is alone.
    :return: whether there was an answer.
    :raises OSError: it may not.
    """
    uid, gid = os.geteuid(), os.getegid()
    outside = _Outside(uid, gid)
    try:
        syscalls.unshare(syscalls.CLONE_NEWUSER | kinds)
        outside.go()
        has_answered = outside.ends_within(patience)
    finally:
        outside.end()
    map_to_root(uid, gid)
    return has_answered


class _Outside:
    """A forked child that stays in the user namespace of before, and maps others for its parent once that has left.

    It leads a process group, so that it can be ended with newuidmap(1).
    """

    def __init__(self, uid: int, gid: int) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX)
        try:
            self._pid = os.fork()
            if not self._pid:
                try:
                    os.setpgid(0, 0)
                    ours.close()
                    if theirs.recv(1) == GO:
                        _map_all(os.getppid(), uid, gid)
                finally:
                    os._exit(0)
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        self._socket = ours
        self._is_late = False

    def go(self) -> None:
        """Let it map the users."""
        self._socket.send(GO)

    def ends_within(self, seconds: float) -> bool:
        """Wait for its end, with which its end of the connection is closed."""
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        self._is_late = not poll.poll(seconds * 1000)
        return not self._is_late

    def end(self) -> None:
        """Reap it, and kill it first, with what it runs, if it has not ended in time."""
        self._socket.close()  # without being told to go, it ends
        if self._is_late:
            try:
                os.killpg(self._pid, signal.SIGKILL)
            except ProcessLookupError:  # it has not come to lead a group, nor to run anything
                os.kill(self._pid, signal.SIGKILL)
        syscalls.reap(self._pid)


def map_to_root(uid: int, gid: int) -> None:
    """Let a user and a group of outside be root in the user namespace of this process, where nobody is mapped yet."""
    if not _read("uid_map"):
        _write("self", "uid_map", [(0, uid, 1)])
    if not _read("gid_map"):
        with open("/proc/self/setgroups", "wb", buffering=0) as file:  # or only root could map it
            file.write(b"deny")
        _write("self", "gid_map", [(0, gid, 1)])


def is_root_alone() -> bool:
    """Whether root is the only user, or the only group, of the user namespace of this process."""
    maps = [[int(number) for number in _read(file).split()] for file in ("uid_map", "gid_map")]
    return any(len(numbers) == 3 and numbers[2] == 1 for numbers in maps)


def _read(file: str) -> str:
    with open(f"/proc/self/{file}", encoding="ascii") as opened:
        return opened.read()


def _write(process: object, file: str, ranges: list[Range]) -> None:
    with open(f"/proc/{process}/{file}", "wb", buffering=0) as opened:
        opened.write("".join(f"{inside} {outside} {count}\n" for inside, outside, count in ranges).encode())


def _map_all(process: int, uid: int, gid: int) -> None:
    """Map root and all others that there are to lend, for a process in a user namespace below, as far as we may."""
    for own, capability, file, tool, lent in (
        (uid, syscalls.CAP_SETUID, "uid_map", "newuidmap", "/etc/subuid"),
        (gid, syscalls.CAP_SETGID, "gid_map", "newgidmap", "/etc/subgid"),
    ):
        try:
            if own == 0 and proc.has_capability(capability):
                _write(process, file, [_range(*map(int, line.split())) for line in _read(file).splitlines()])
            else:
                for start, count in _lent(lent, uid):
                    _run(tool, str(process), "0", str(own), "1", "1", str(start), str(count))
                    break
        except OSError:
            continue  # then there is root alone


def _range(inside: int, _: int, count: int) -> Range:
    return inside, inside, count


def _lent(file: str, uid: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges that are lent to a user: the first of each, and how many."""
    try:
        names = {str(uid), pwd.getpwuid(uid).pw_name}
    except KeyError:  # a uid that has no name, as in containers
        names = {str(uid)}
    with open(file, encoding="utf-8", errors="replace") as opened:
        for line in opened:
            name, _, rest = line.strip().partition(":")
            start, _, count = rest.partition(":")
            if name in names and start.isdecimal() and count.isdecimal():
                yield int(start), int(count)


def _run(*command: str) -> None:
    silence = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)]
    syscalls.reap(os.posix_spawnp(command[0], command, os.environ, file_actions=silence))
