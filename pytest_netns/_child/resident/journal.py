"""What is to be undone if the parent and the resident child are both killed, for the next start to do.

Whatever is wrong with it, such as a full disk, it takes from a session that guarantee alone: nothing here fails. What
is wrong is said by ``Journal.trouble``.
"""

from __future__ import annotations

import _socket as socket
import fcntl
import os

from ..._errors import errno_name
from ..._linux import proc, run_netns, syscalls
from .directory import Directory, Unusable, parents
from .reaper import Failed, kill_processes
from .record import Entry, Record, entries, open_file, remove, remove_orphans

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BARE_FILE_AGE = 1.0  # seconds after which a file that is to become a name, and is none yet, belongs to nobody
UNDO_TIME = 2.5  # seconds after which a start leaves what else the dead have left to the next one
BOOT = 8  # characters of the boot's identity, which are enough
PROC = "/proc"


class Journal:
    """The namespaces of one parent, written down as well as it can be.

    :param record: where, or ``None`` where there is no place for it.
    :param directory: the path of the directory of that.
    :param refused: why each directory that was tried before could not be used.
    """

    def __init__(self, record: Record | None, directory: str = "", refused: Sequence[Unusable] = ()) -> None:
        self._record = record
        self.directory = directory
        self.refused = refused
        self.trouble = "; ".join(unusable.cause for unusable in refused) if record is None else ""
        """Why a namespace may be missing in it; nothing as long as all are there."""
        self.listener: socket.SocketType | None = None
        """By which other programs of this user ask, if there is a place for that."""
        self.without_socket = self.trouble
        """Why there is none, if so."""

    def listen(self) -> None:
        """Let other programs of this user ask, if there is a place for a socket."""
        try:
            self.listener = None if self._record is None else self._record.listen()
        except OSError as error:
            self.without_socket = f"{self.directory}: {errno_name(error.errno or 0)}"

    def put(self, entry: Entry) -> None:
        """Add a namespace, or write anew what there is of it."""
        if self._record is not None:
            try:
                self._record.put(entry)
            except (OSError, ValueError) as error:  # ValueError: a name in another encoding than this locale's
                why = errno_name(error.errno or 0) if isinstance(error, OSError) else str(error)
                self.trouble = self.trouble or f"{self.directory}: {why}"

    def remove(self, key: int) -> None:
        """Remove a namespace, if it is there."""
        if self._record is not None:
            try:
                self._record.remove(key)
            except OSError:
                return  # the next start finds an entry of what is gone, which has nothing to undo

    def close(self) -> None:
        """Remove it, since nothing is left to undo."""
        record, self._record = self._record, None
        if self.listener is not None:
            self.listener.close()
        if record is not None:
            try:
                record.close()
            except OSError:
                return  # the next start finds nothing to undo in it, and removes it


def open_journal(owner: int, number: int, *directories: str) -> Journal:
    """Return the journal of a parent, in the first directory that can hold it.

    :param owner: the pid of the parent.
    :param number: tells the journals of one parent apart.
    :param directories: the directories to try; by default those that :func:`directory.parents` gives.
    """
    refused: list[Unusable] = []
    try:
        name = _name(owner, number)
    except Unusable as unusable:
        return Journal(None, refused=[unusable])
    for parent in directories or parents():
        try:
            directory = Directory(parent, make=True)
        except Unusable as unusable:
            refused.append(unusable)
            continue
        try:
            return Journal(Record(directory.fd, name), directory.path, refused)
        except OSError as error:
            refused.append(Unusable.from_error(directory.path, error))
        finally:
            directory.close()
    return Journal(None, refused=refused)


def _name(owner: int, number: int) -> str:
    """Return the name of a record, which says whose it is, and who could undo what is in it.

    :raises Unusable: /proc does not say that.
    """
    try:
        machine, started = identity(), proc.start_time(owner)
        within = [proc.user_namespace(), proc.user_namespace_before()]
    except (OSError, ValueError) as error:
        why = errno_name(error.errno or 0) if isinstance(error, OSError) else str(error)
        path = error.filename if isinstance(error, OSError) else None
        raise Unusable(f"{path or '/proc'}: {why}", "mount /proc, all of it (mount -t proc proc /proc)") from None
    if started is None:
        raise Unusable(f"/proc does not show process {owner}", "mount /proc (mount -t proc proc /proc)")
    spaces = "-".join(str(inode) for inode in within if inode is not None)
    return f"{machine}-{owner}-{started}-{number}-{proc.capabilities():x}-{spaces}"


def identity(proc: str = PROC) -> str:
    """Return what pids and start times mean something in: a boot of the machine, a pid and a time namespace.

    :raises ValueError: what is mounted at /proc does not belong to this process.
    """
    with open(f"{proc}/sys/kernel/random/boot_id", encoding="ascii") as file:
        boot = file.read(BOOT)
    if len(boot) != BOOT or not boot.isalnum():
        raise ValueError("its sys/kernel/random/boot_id does not say which boot this is")
    if os.readlink(f"{proc}/self") != str(os.getpid()):
        raise ValueError("it shows another pid namespace")
    return f"{boot}-{_namespace(proc, 'pid')}.{_namespace(proc, 'time')}"


def _namespace(proc: str, kind: str) -> int:
    try:
        return os.stat(f"{proc}/self/ns/{kind}").st_ino
    except FileNotFoundError:
        return 0  # a kernel that has no such namespaces (CONFIG_PID_NS, CONFIG_TIME_NS) has but one


def undo_the_dead(seconds: float = UNDO_TIME, *directories: str) -> None:
    """Undo what dead parents of this user have left, as far as it goes.

    :param seconds: how long it may take; what is left then is for the next start.
    :param directories: as of :func:`open_journal`.
    """
    deadline = syscalls.monotonic() + seconds
    try:
        machine, within = identity(), _within_our_power()
    except (OSError, ValueError):
        return  # there is no journal, and open_journal() says why
    for parent in directories or parents():
        try:
            directory = Directory(parent, make=False)
        except Unusable:
            continue  # likewise
        try:
            # Hashes of strings differ from start to start, so that what takes long does not always keep off the same.
            for name in sorted(os.listdir(directory.fd), key=hash):
                if syscalls.monotonic() > deadline:
                    return
                if _is_of_the_dead(name, machine, within):
                    undo_dead(directory.fd, name, deadline)
            remove_orphans(directory.fd)
        except OSError:
            continue  # the next start tries again
        finally:
            directory.close()


def _within_our_power() -> Callable[[int, list[str]], bool]:
    """Return what says whether we could see and end all that is in a record: who could not would find nothing there.

    It takes the capabilities of its owner, and its user namespaces, of which the first owns the network namespaces. Who
    is in that one takes those capabilities to enter them and to look into their processes (ptrace(2)). Who is in one
    around it, and made it, has every capability there (user_namespaces(7)).
    """
    own, ours = proc.user_namespace(), proc.capabilities()

    def is_within(theirs: int, spaces: list[str]) -> bool:
        if spaces[0] == str(own):
            return not theirs & ~ours
        return own == proc.INITIAL_USER_NAMESPACE or str(own) in spaces

    return is_within


def _is_of_the_dead(name: str, machine: str, is_within_our_power: Callable[[int, list[str]], bool]) -> bool:
    """Whether this is the name of a record that is ours to undo."""
    if not name.startswith(f"{machine}-"):
        return False
    try:
        pid, start, _, capabilities, *spaces = name.removeprefix(f"{machine}-").split("-")
        may_undo = bool(spaces) and is_within_our_power(int(capabilities, 16), spaces)
        return may_undo and proc.start_time(int(pid)) != int(start)
    except (OSError, ValueError):
        return False  # no name that we have given


def undo_dead(directory: int, name: str, deadline: float) -> None:
    """Undo what is in the record of a dead parent, and remove the record.

    If something cannot be undone the record stays, for the next start.

    :param directory: a descriptor of the directory it is in.
    :param deadline: when to leave what is not undone to the next start, as of ``syscalls.monotonic()``.
    """
    try:
        fd = open_file(name, directory)
    except OSError:
        return  # another start was faster, or it is none
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _undo([entry for _, entry in entries(fd)], deadline):
            remove(name, directory)
    except OSError:
        return  # BlockingIOError: its resident child lives and is at it. With the others, the next start tries again.
    finally:
        os.close(fd)


def _undo(left: list[Entry], deadline: float) -> bool:
    """Undo each entry, whatever becomes of the others; return whether all are undone."""
    is_undone = _kill([entry for entry in left if entry.cookie], deadline)
    for entry in left:
        if entry.name is not None:
            try:
                run_netns.remove(entry.name, entry.is_at, BARE_FILE_AGE)
            except OSError:
                is_undone = False
    return is_undone


def _kill(certain: list[Entry], deadline: float) -> bool:
    """Kill the processes in these namespaces, in all at once or, if that fails, in each; return whether all ended."""
    try:
        kill_processes(
            {entry.identity for entry in certain},
            syscalls.namespace_id("/proc/self/ns/net"),
            lambda pid: any(entry.is_at(f"/proc/{pid}/ns/net") for entry in certain),
        )
    except (OSError, Failed):
        if len(certain) == 1 or syscalls.monotonic() > deadline:
            return False
        are_killed = [syscalls.monotonic() < deadline and _kill([entry], deadline) for entry in certain]
        return all(are_killed)
    return True
