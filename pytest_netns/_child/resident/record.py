"""The file in which a resident child writes down its namespaces, and that the next start reads if both were killed."""

from __future__ import annotations

import _socket as socket
import errno
import fcntl
import os
import stat

from ..._linux import run_netns, syscalls
from ..._linux.syscalls import close_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

SOCKET = "socket-"  # how the name of a socket begins
BACKLOG = 8  # of programs that ask at once
SLOT = 384  # bytes: four numbers and a file name
LONGEST = 1 << 24  # bytes of a record that are read, which is more than a session can have namespaces
LOCK_TIME = 1.0  # seconds to wait for a lock that a child which was killed is about to lose
LOCK_PAUSE = 0.01  # seconds between two tries


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
        numbers = " ".join(map(str, (self.key, *self.identity, self.cookie)))
        return numbers.encode() + b" =" + os.fsencode(self.name or "")

    @classmethod
    def from_bytes(cls, line: bytes) -> Entry:
        """Return what a slot says.

        :raises ValueError: it is no entry; its name is to become a path, and so has to be a single file name.
        """
        key, device, inode, cookie, rest = line.split(b" ", 4)
        name = os.fsdecode(rest[1:]) or None
        if rest[:1] != b"=" or (name is not None and run_netns.why_not(name)):
            raise ValueError("no entry of a record")
        return cls(int(key), (int(device), int(inode)), int(cookie), name)

    def is_at(self, path: str) -> bool:
        """Whether a path leads to this namespace, and not to another that has got its numbers.

        :raises OSError: that cannot be told.
        """
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except (FileNotFoundError, ProcessLookupError):
            return False
        try:
            return syscalls.namespace_id(fd) == self.identity and cookie_of(fd) == self.cookie
        finally:
            os.close(fd)


def cookie_of(ns: int) -> int:
    """Return the cookie of a namespace, asked by a forked child, which need not come back.

    :raises PermissionError: it may not enter.
    """
    ends = list(os.pipe())
    try:
        read, write = ends
        pid = os.fork()
        if pid == 0:
            try:
                syscalls.enter(ns)
                os.write(write, b"%d" % syscalls.namespace_cookie())
            finally:
                os._exit(0)
        os.close(ends.pop())
        answer = os.read(read, 32)
        syscalls.reap(pid)
    finally:
        close_all(ends)
    if not answer:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
    return int(answer)


def open_file(name: str, directory: int, flags: int = 0) -> int:
    """Open a record, which nobody else can have put there, and return its descriptor.

    :raises OSError: it cannot be opened, or is no file of ours.
    """
    flags |= os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    fd = os.open(name, flags, 0o600, dir_fd=directory)
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
        os.close(fd)
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    return fd


def socket_of(name: str) -> str:
    """Return the name of the socket that belongs to a record, for the pid of its owner and its number."""
    _, _, owner, _, number, *_ = [*name.split("-"), *[""] * 5]
    return f"{SOCKET}{owner}-{number}"


def path_of_socket(directory: int, name: str) -> str:
    """Return a path that is short enough for the address of a socket (unix(7)), by a descriptor of the directory."""
    return f"/proc/self/fd/{directory}/{name}"


def unlink_if_there(name: str, directory: int) -> None:
    try:
        os.unlink(name, dir_fd=directory)
    except FileNotFoundError:
        return


def remove(name: str, directory: int) -> None:
    """Remove a record and its socket."""
    unlink_if_there(socket_of(name), directory)
    os.unlink(name, dir_fd=directory)


def remove_orphans(directory: int) -> None:
    """Remove the sockets without a record; who makes one makes the record first, and removes it last."""
    sockets = {name for name in os.listdir(directory) if name.startswith(SOCKET)}
    for name in sockets - {socket_of(name) for name in os.listdir(directory)}:
        unlink_if_there(name, directory)


class Record:
    """The file of one parent, which its resident child holds locked as long as it lives.

    :param directory: a descriptor of the directory it is in; the record keeps a copy.
    :param name: its name there.
    :raises OSError: it cannot be made, or there is no space for the first entries.
    """

    def __init__(self, directory: int, name: str) -> None:
        self._name = name
        self._fds = [os.dup(directory)]
        try:
            self._fds.append(open_file(name, directory, os.O_CREAT))
            _lock(self._fds[1])
            # That of a resident child which was killed: its namespaces are about to be adopted.
            self._slots = {entry.key: number for number, entry in entries(self._fds[1])}
            self._free: list[int] = []
            self._end = max(self._slots.values(), default=-1) + 1
            if not self._slots:
                self._write(0, b"")  # it takes a block of the disk, which is a dozen entries
        except BaseException:
            close_all(self._fds)
            raise

    def put(self, entry: Entry) -> None:
        """Add a namespace, or write anew what there is of it."""
        number = self._slots.get(entry.key)
        if number is None:
            number = self._free[-1] if self._free else self._end
        self._write(number, entry.to_bytes())
        if entry.key not in self._slots:
            self._slots[entry.key] = number
            if self._free:
                self._free.pop()
            else:
                self._end += 1

    def remove(self, key: int) -> None:
        """Remove a namespace, if it is there."""
        number = self._slots.pop(key, None)
        if number is not None:
            self._write(number, b"")
            self._free.append(number)

    def _write(self, number: int, text: bytes) -> None:
        if os.pwrite(self._fds[1], text.ljust(SLOT - 1, b"\0") + b"\n", number * SLOT) < SLOT:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def listen(self) -> socket.SocketType:
        """Return a listening socket beside the file, which goes with that.

        :raises OSError: there can be none.
        """
        path = socket_of(self._name)
        unlink_if_there(path, self._fds[0])  # that of the child before this one
        listener = socket.SocketType(socket.AF_UNIX, socket.SOCK_SEQPACKET | socket.SOCK_CLOEXEC)
        try:
            listener.bind(path_of_socket(self._fds[0], path))
            listener.listen(BACKLOG)
        except BaseException:
            listener.close()
            raise
        return listener

    def close(self) -> None:
        """Remove the file, since nothing is left to undo."""
        directory, _ = self._fds
        try:
            remove(self._name, directory)
        finally:
            self.leave()

    def leave(self) -> None:
        """Let go of the file, and of the lock, for another child to take it over."""
        close_all(self._fds)
        self._fds = []


def _lock(fd: int) -> None:
    """Lock a record.

    :raises BlockingIOError: another process has it locked and keeps it.
    """
    deadline = syscalls.monotonic() + LOCK_TIME
    while True:
        try:
            return fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if syscalls.monotonic() > deadline:
                raise
        syscalls.sleep(LOCK_PAUSE)


def entries(fd: int) -> Iterator[tuple[int, Entry]]:
    """Yield the number of each slot in use, and what is in it."""
    content = os.pread(fd, min(os.fstat(fd).st_size, LONGEST), 0)
    for start in range(0, len(content), SLOT):
        slot = content[start : start + SLOT]
        text = slot[:-1].rstrip(b"\0")
        if text and slot[-1:] == b"\n":
            try:
                yield start // SLOT, Entry.from_bytes(text)
            except ValueError:
                continue  # half written, as its writer was killed, or nothing that we have written
