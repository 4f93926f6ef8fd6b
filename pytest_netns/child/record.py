"""What is to be undone if the parent and the resident child are both killed, in a file that the next start reads."""

from __future__ import annotations

import fcntl
import os
import stat

from .. import kernel, names
from .undo import Failed, kill_processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SLOT = 320  # bytes: four numbers and a file name
BARE_FILE_AGE = 1.0  # seconds after which a file that is to become a name, and is none yet, belongs to nobody


class Entry:
    """A namespace: its key, what identifies it, and its name if it has one.

    The kernel uses the numbers of a namespace again, but not its cookie (SO_NETNS_COOKIE, which
    Linux 5.14 has); it is 0 where there is none.
    """

    def __init__(self, key: int, identity: tuple[int, int], cookie: int, name: str | None) -> None:
        self.key = key
        self.identity = identity
        self.cookie = cookie
        self.name = name

    def to_bytes(self) -> bytes:
        return " ".join(map(str, (self.key, *self.identity, self.cookie, f"={self.name or ''}"))).encode()

    @classmethod
    def from_bytes(cls, line: bytes) -> Entry:
        key, device, inode, cookie, name = line.decode().split(" ", 4)
        return cls(int(key), (int(device), int(inode)), int(cookie), name[1:] or None)

    def is_at(self, path: str) -> bool:
        """Whether a path leads to this namespace, and not to another that has got its numbers."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            return kernel.namespace_id(fd) == self.identity and cookie_of(fd) == self.cookie
        finally:
            os.close(fd)


def cookie_of(ns: int) -> int | None:
    """Return the cookie of a namespace, asked by a forked child, which need not come back; ``None`` if it may not."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            kernel.enter(ns)
            os.write(write, b"%d" % kernel.namespace_cookie())
        finally:
            os._exit(0)
    os.close(write)
    answer = os.read(read, 32)
    os.close(read)
    os.waitpid(pid, 0)
    return int(answer) if answer else None


class Record:
    """The file of one parent, which its resident child holds locked as long as it lives."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._fd, fcntl.LOCK_EX)
        # That of a resident child which was killed: its namespaces are about to be adopted.
        self._slots = {entry.key: number for number, entry in entries(self._fd)}
        self._free: list[int] = []
        self._end = max(self._slots.values(), default=-1) + 1

    def put(self, entry: Entry) -> None:
        """Add a namespace, or write anew what there is of it."""
        number = self._slots.get(entry.key)
        if number is None:
            if self._free:
                number = self._free.pop()
            else:
                number, self._end = self._end, self._end + 1
            self._slots[entry.key] = number
        self._write(number, entry.to_bytes())

    def remove(self, key: int) -> None:
        """Remove a namespace, if it is there."""
        number = self._slots.pop(key, None)
        if number is not None:
            self._write(number, b"")
            self._free.append(number)

    def _write(self, number: int, text: bytes) -> None:
        os.pwrite(self._fd, text.ljust(SLOT - 1) + b"\n", number * SLOT)

    def close(self) -> None:
        """Remove the file, since nothing is left to undo."""
        os.unlink(self._path)
        os.close(self._fd)


def entries(fd: int) -> Iterator[tuple[int, Entry]]:
    """Yield the number of each slot in use, and what is in it."""
    content = os.pread(fd, os.fstat(fd).st_size, 0)
    for number, line in enumerate(content.splitlines()):
        if line.strip():
            try:
                yield number, Entry.from_bytes(line.rstrip())
            except ValueError:
                continue  # half written, as its writer was killed


def directory(*parents: str) -> str | None:
    """Return the directory of the records of this user, or ``None`` where none can be made.

    :param parents: where it may be; by default those that are cleared at boot, then that of temporary files.
    """
    for parent in parents or ("/run", os.environ.get("XDG_RUNTIME_DIR"), os.environ.get("TMPDIR", "/tmp")):
        if not parent:
            continue
        path = f"{parent}/pytest-netns-{kernel.uid_outside()}"
        try:
            os.mkdir(path, 0o700)
        except FileExistsError:
            pass
        except OSError:
            continue
        status = os.lstat(path)
        if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and os.access(path, os.W_OK):
            return path
    return None


def machine() -> str:
    """Return what pids mean something in: this boot of the machine, and this pid namespace."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return f"{file.read(8)}-{os.stat('/proc/self/ns/pid').st_ino}"


def open_record(owner: int, number: int) -> Record | None:
    """Undo what dead parents have left, and return the record of this one.

    :param owner: the pid of the parent.
    :param number: tells the records of one parent apart.
    :return: the record, or ``None`` where there is no place for it or the parent has ended.
    """
    started = kernel.start_time(owner)
    place = undo_the_dead()
    if place is None or started is None:
        return None
    within = [kernel.user_namespace(), kernel.user_namespace_before()]
    places = "-".join(str(inode) for inode in within if inode is not None)
    return Record(f"{place}/{machine()}-{owner}-{started}-{number}-{places}")


def undo_the_dead() -> str | None:
    """Undo what dead parents of this user have left; return where the records are, or ``None`` if there is no place."""
    place = directory()
    if place is not None:
        prefix = machine()
        own = kernel.user_namespace()
        for file in os.listdir(place):
            if file.startswith(f"{prefix}-"):
                pid, start, _, *within = file.removeprefix(f"{prefix}-").split("-")
                # Who is in another user namespace could not look into the processes (ptrace(2)), and would find none.
                may_look = own == kernel.INITIAL_USER_NAMESPACE or str(own) in within
                if may_look and kernel.start_time(int(pid)) != int(start):
                    undo_dead(f"{place}/{file}")
    return place


def undo_dead(path: str) -> None:
    """Undo what is in the record of a dead parent, and remove the record.

    What cannot be undone stays in the record, for the next start.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return  # another start was faster
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        left = [entry for _, entry in entries(fd)]
        certain = [entry for entry in left if entry.cookie]
        kill_processes(
            {entry.identity for entry in certain},
            kernel.namespace_id("/proc/self/ns/net"),
            lambda pid: any(entry.is_at(f"/proc/{pid}/ns/net") for entry in certain),
        )
        for entry in left:
            if entry.name is not None:
                names.remove(entry.name, entry.is_at, BARE_FILE_AGE)
        os.unlink(path)
    except (OSError, Failed):
        return  # BlockingIOError: its resident child lives and is at it. With the others, the next start tries again.
    finally:
        os.close(fd)
