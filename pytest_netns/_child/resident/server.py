"""The program of the resident child: one small process that makes namespaces and sockets for one pytest process.

It runs as ``python -I -S`` with the standard library only, so it is small and starts fast whatever the size of pytest.
It has one thread: it enters a namespace, does one thing there, and comes home before it answers. Of each namespace it
keeps a descriptor until it is told to forget it, so that, when its parent dies in whatever way, it knows what to undo:
the processes in these namespaces are killed, the names are unmounted, and then it ends, and the namespaces with it. It
keeps a record of them too: if it is killed itself, the resident child of the next session undoes what is in there.

A request is a byte for the verb and marshalled arguments (the same interpreter writes and reads them). A thread of the
parent sends its requests over a channel of its own, for the time of the request, so that none waits for another's
answer. What needs no answer (a channel to connect, a namespace to adopt or to forget) comes over the control socket.
"""

from __future__ import annotations

import errno
import gc
import marshal
import os
import resource
import select
import signal
import socket

from ... import _causes
from ..._linux import fdpass, id_maps, loopback, run_netns, syscalls
from ..reply import CREATING_SOCKET, ENTERING, OK, Refused, Step, failure, reply
from .journal import Journal, open_journal, undo_the_dead
from .nsid_watch import Observer, hasten_the_end
from .reaper import Failed, Reaper, kill_processes
from .record import Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Verb = Callable[..., tuple[bytes, list[int]]]

# Verbs of the control socket.
CONNECT = b"c"
ADOPT = b"a"
FORGET = b"f"  # of a channel too
# Verbs of a channel.
CREATE = b"n"
BIND = b"b"
OWN_NAMES = b"o"
SIGNAL = b"k"
STILL_THERE = b"t"
SOCKETS = b"s"
READ_SYSCTL = b"r"
WRITE_SYSCTL = b"w"
LIST_SYSCTL = b"l"

# What is given for a user namespace to join, where there is none yet: whether to make one.
NEVER, IF_NEEDED, ALWAYS = -3, -2, -1

# What may pass: limits, and a lack of memory.
PASSING = frozenset({errno.ENOSPC, errno.EUSERS, errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EIO})
UNSHARE_PAUSE = 0.01  # seconds between two tries
ORPHAN_POLL = 1.0  # seconds between two looks at the parent, where the kernel has no pidfd_open(2)


def request(verb: bytes, *arguments: Any) -> bytes:
    """Return the bytes of a request."""
    return verb + marshal.dumps(arguments)


class Namespace:
    """A namespace of the parent's: its cookie, the descriptor that keeps its number from being used again, its name."""

    def __init__(self, fd: int, cookie: int, name: str | None = None) -> None:
        self.fd = fd
        self.cookie = cookie
        self.name = name

    def entry(self, key: int, name: str | None) -> Entry:
        return Entry(key, syscalls.namespace_id(self.fd), self.cookie, name)

    def remove_name(self) -> None:
        if self.name is not None:
            run_netns.remove(self.name, lambda path: syscalls.namespace_id(path) == syscalls.namespace_id(self.fd))
            self.name = None

    def close(self) -> None:
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)


class Resident:
    """Serves the requests of one parent until that parent is gone."""

    def __init__(
        self,
        control: socket.socket,
        parent: int,
        home: int,
        record: Journal,
        refused: Refused | None,
        has_own_names: bool,
        original: tuple[int, int],
    ) -> None:
        self.control = control
        self.original = original
        self.has_own_names = has_own_names
        self.refused = refused
        self.is_to_be_replaced = False
        self.record = record
        self.observer: Observer | None = None
        self.home = home
        self.parent = parent
        self.parent_pidfd = syscalls.open_pidfd(parent)
        self.namespaces: dict[int, Namespace] = {}
        self.forgotten: set[int] = set()  # before they were made: the two requests come over different sockets
        self.reapers: dict[int, Reaper] = {}
        self.channels: dict[int, socket.socket] = {}
        self.spares: dict[int, Namespace] = {}  # by how much loopback they have
        self.lacks: int | None = None
        self.poll = select.epoll()
        self.poll.register(control, select.EPOLLIN)
        self.come = select.poll()
        self.come.register(control, select.POLLIN)
        if self.parent_pidfd is not None:
            self.poll.register(self.parent_pidfd, select.EPOLLIN)
        self.verbs: dict[bytes, Verb] = {
            CREATE: self.create,
            BIND: self.bind,
            OWN_NAMES: self.own_names,
            FORGET: self.forget,
            SIGNAL: self.signal,
            STILL_THERE: self.still_there,
            SOCKETS: self.sockets,
            READ_SYSCTL: self.read_sysctl,
            WRITE_SYSCTL: self.write_sysctl,
            LIST_SYSCTL: self.list_sysctl,
        }

    def serve(self) -> bool:
        """Serve until the parent is gone, or until another child may have more luck; return whether the parent is."""
        wait = -1 if self.parent_pidfd is not None else ORPHAN_POLL
        while True:
            events = self.poll.poll(wait if self.lacks is None else 0)
            if not events and self.lacks is not None:
                self.make_spare(self.lacks)
            for fd, _ in events:
                if fd in self.channels:
                    self.answer(self.channels[fd])
                elif fd == self.parent_pidfd or not self.take_control_messages():
                    return True
            if self.is_to_be_replaced:
                return False  # what is asked meanwhile, another child is asked anew, since nobody has read it
            if self.parent_pidfd is None and os.getppid() != self.parent:
                return True

    def take_control_messages(self) -> bool:
        """Handle those that have come; return whether the parent still holds the control socket."""
        while self.come.poll(0):
            if not self.take_control_message():
                return False
        return True

    def take_control_message(self) -> bool:
        """Handle a message of the control socket, which has no answers; return whether the parent still holds it."""
        with fdpass.Received() as received:
            try:
                payload = fdpass.receive(self.control, received)
            except fdpass.Closed:
                return False
            if payload[:1] == CONNECT:
                channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, received.fds.pop())
                self.channels[channel.fileno()] = channel
                self.poll.register(channel, select.EPOLLIN)
            elif payload[:1] == ADOPT:
                self.adopt(received.fds.pop(), *marshal.loads(payload[1:]))
            else:
                self.forget(*marshal.loads(payload[1:]))
        return True

    def answer(self, channel: socket.socket) -> None:
        fds: list[int] = []
        try:
            received = fdpass.Received()
            message = fdpass.receive(channel, received)
            if received.fds:  # nobody sends any here
                received.close()
            payload, fds = self.handle(message)
            reply(channel, payload, fds)
        except (fdpass.Closed, OSError):  # nobody is there to tell
            self.drop(channel)
        finally:
            for fd in fds:
                os.close(fd)

    def drop(self, channel: socket.socket) -> None:
        self.poll.unregister(channel)
        del self.channels[channel.fileno()]
        channel.close()

    def handle(self, message: bytes) -> tuple[bytes, list[int]]:
        try:
            return self.verbs[message[:1]](*marshal.loads(message[1:]))
        except Exception as error:
            return failure(error), []

    def adopt(self, fd: int, key: int, name: str | None) -> None:
        if key in self.namespaces:
            os.close(fd)
            return
        if self.home < 0:  # what the record says of it, the child before has written
            self.namespaces[key] = Namespace(fd, 0, name)
            return
        syscalls.setns(fd)
        try:
            cookie = syscalls.namespace_cookie()
        finally:
            self.go_home()
        self.namespaces[key] = Namespace(fd, cookie, name)
        self.put_on_record(key, name)

    def put_on_record(self, key: int, name: str | None) -> None:
        # Names of our own need nobody to remove them.
        self.record.put(self.namespaces[key].entry(key, None if self.has_own_names else name))

    # Each verb below returns the payload of the answer and the descriptors to pass, which are then closed here.

    def create(self, key: int, lo: int, sysctl: dict[str, str]) -> tuple[bytes, list[int]]:
        if key in self.forgotten:  # whoever asked has been interrupted
            self.forgotten.remove(key)
            return OK, []
        namespace = self.spares.pop(lo, None) or self.make_namespace(lo)
        self.lacks = None if lo == loopback.DOWN else lo
        self.namespaces[key] = namespace
        self.put_on_record(key, None)
        for path, value in sysctl.items():
            self.write_sysctl(key, path, value)
        with Step("open the namespace"):
            return OK + self.record.trouble.encode(errors="replace"), [os.dup(namespace.fd)]

    def make_namespace(self, lo: int) -> Namespace:
        self.refuse_if_it_must(self.refused)
        with Step("create the namespace", _causes.NETWORK):
            syscalls.unshare()
        try:
            with Step("open the namespace"):
                namespace = Namespace(syscalls.open_own_namespace(), syscalls.namespace_cookie())
            try:
                with Step("bring lo up"):
                    if lo == loopback.UP:
                        syscalls.set_link_up("lo")
                    elif lo == loopback.COMPLETE:
                        loopback.complete()
            except BaseException:
                namespace.close()
                raise
        finally:
            self.go_home()
        return namespace

    def make_spare(self, lo: int) -> None:
        """Make the next namespace while nothing is asked, so that it is there when it is asked for."""
        self.lacks = None
        try:
            self.spares[lo] = self.make_namespace(lo)
        except Refused:
            return  # at a limit, for example: the next request will say so, or meet better times

    def bind(self, key: int, name: str) -> tuple[bytes, list[int]]:
        self.put_on_record(key, name)  # before it is there
        self.enter(key)
        try:
            with Step(f"bind the name {name}", _causes.FILE_OF_NAME):
                holder = bind_if_not_locked(name)
        except BaseException:
            self.put_on_record(key, None)
            raise
        finally:
            self.go_home()
        self.namespaces[key].name = None if holder else name
        return OK + marshal.dumps((holder, self.record.trouble.encode(errors="replace"))), []

    def own_names(self) -> tuple[bytes, list[int]]:
        """Move, once, into a mount namespace with a directory of names of our own, and pass that."""
        if not self.has_own_names:
            with Step("make a mount namespace for names, without privilege over /run/netns", _causes.MOUNTS):
                syscalls.unshare(syscalls.CLONE_NEWNS)
            with Step("make a directory of names, without privilege over /run/netns", _causes.FILE_OF_NAME):
                run_netns.make_own_directory()
            self.has_own_names = True
        with Step("open the mount namespace"):
            return OK, [os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)]

    def signal(self, key: int, number: int, roots: list[int], spared: list[int]) -> tuple[bytes, list[int]]:
        """Signal what runs in a namespace, and what these commands of the parent have started; tell what there is."""
        with Step("look for the processes in the namespace"):
            reaper = self.reapers.get(key)
            if reaper is None:
                inhabited = {syscalls.namespace_id(self.namespaces[key].fd)}
                reaper = self.reapers[key] = Reaper(inhabited, self.original)
            left = reaper.signal(number, roots, self.parent, spared)
            return OK + marshal.dumps((left, reaper.strays())), []

    def forget(self, key: int) -> tuple[bytes, list[int]]:
        namespace = self.namespaces.get(key)  # None where it could not be made
        if namespace is not None:
            with Step(f"remove the name {namespace.name}"):
                namespace.remove_name()
            self.watch(key, namespace.fd)
            del self.namespaces[key]
            namespace.close()
        else:
            self.forgotten.add(key)
        if key in self.reapers:
            self.reapers.pop(key).close()
        if self.record is not None:
            self.record.remove(key)
        return OK, []

    def watch(self, key: int, fd: int) -> None:
        """See to it that a namespace can go, and that it can be told whether it has."""
        if self.home < 0:
            return  # there would be no way back
        try:
            syscalls.setns(fd)
            try:
                hasten_the_end()
            finally:
                self.go_home()
            if self.observer is None:
                self.observer = Observer(self.home)
            self.observer.watch(key, fd)
        except OSError:
            return  # at a limit, for example: then it goes unseen, as it does where this child is killed

    def still_there(self, keys: list[int]) -> tuple[bytes, list[int]]:
        with Step("ask which namespaces are gone"):
            # What was to be forgotten before this was asked may wait: the control socket is another one.
            self.take_control_messages()
            return OK + marshal.dumps([key for key in keys if self.is_there(key)]), []

    def is_there(self, key: int) -> bool:
        return key in self.namespaces or (self.observer is not None and self.observer.there(key))

    def sockets(self, key: int, specs: list[tuple[int, int, int]]) -> tuple[bytes, list[int]]:
        fds: list[int] = []
        self.enter(key)
        try:
            with CREATING_SOCKET:
                for family, kind, protocol in specs:
                    fds.append(socket.SocketType(family, kind, protocol).detach())
        except BaseException:
            syscalls.close_all(fds)
            raise
        finally:
            self.go_home()
        return OK, fds

    def read_sysctl(self, key: int, path: str) -> tuple[bytes, list[int]]:
        self.enter(key)
        try:
            with Step(f"read the sysctl {key_of(path)}", _causes.SYSCTL), open(f"/proc/sys/{path}", "rb") as file:
                return OK + file.read(), []
        finally:
            self.go_home()

    def write_sysctl(self, key: int, path: str, value: str) -> tuple[bytes, list[int]]:
        self.enter(key)
        try:
            with Step(f"set the sysctl {key_of(path)}", _causes.SYSCTL):
                write_sysctl(path, value)
        finally:
            self.go_home()
        return OK, []

    def list_sysctl(self, key: int) -> tuple[bytes, list[int]]:
        self.enter(key)
        try:
            with Step("list the sysctls"):
                paths = [f"{folder}/{file}" for folder, _, files in os.walk("/proc/sys/net") for file in files]
        finally:
            self.go_home()
        return OK + "\0".join(path.removeprefix("/proc/sys/") for path in paths).encode(), []

    def refuse_if_it_must(self, why: Refused | None) -> None:
        """Say why nothing can be done; if that may pass, end then, for another child to try it anew."""
        if why is not None:
            self.is_to_be_replaced = isinstance(why.__cause__, OSError) and why.__cause__.errno in PASSING
            raise why

    def enter(self, key: int) -> None:
        with ENTERING:
            self.refuse_if_it_must(self.refused if self.home < 0 else None)
            syscalls.setns(self.namespaces[key].fd)

    def go_home(self) -> None:
        try:
            syscalls.setns(self.home)
        except OSError:
            os._exit(1)  # in the wrong namespace it must not serve on; the parent starts another

    def clean_up(self) -> None:
        """Undo what the dead parent can no longer undo, or nothing where it closed its namespaces."""
        is_undone = True
        inhabited = {syscalls.namespace_id(namespace.fd) for namespace in self.namespaces.values()}
        try:
            kill_processes(inhabited, self.original, lambda pid: pid != self.parent)
        except Failed:
            is_undone = False
        for namespace in self.namespaces.values():
            try:
                namespace.remove_name()
            except OSError:
                is_undone = False  # nobody is left to tell; the others are still to be undone
        if self.record is not None and is_undone:
            self.record.close()


def key_of(path: str) -> str:
    """Return the key for a file below /proc/sys, as sysctl(8) writes it."""
    return path if "." in path else path.replace("/", ".")


def write_sysctl(path: str, value: str) -> None:
    with open(f"/proc/sys/{path}", "wb", buffering=0) as file:
        # With the end of the line, as sysctl(8): without it, a value that is empty would be nothing to write.
        file.write(value.removesuffix("\n").encode() + b"\n")


def bind_if_not_locked(name: str) -> str:
    """Bind a name, or say who has the directory locked; the parent tries again, as others must not wait for that."""
    try:
        run_netns.bind(name)
    except run_netns.Locked as locked:
        return locked.holder
    return ""


def find_home(home: int, userns: int, patience: float) -> tuple[int, Refused | None]:
    """Go to the namespace to be in between requests, as somebody who may make others.

    It is the parent's where there is a way back into that. Who is not privileged in the user namespace that owns it has
    none: then it is one of our own, if need be in a user namespace of our own, which takes no privilege.

    :param patience: how long others may take, in seconds.
    :return: its descriptor, or -1 where there is no way to any, and why nothing can be made, if so.
    """
    try:
        if userns >= 0:
            with Step("join the user namespace of the child before"):
                syscalls.setns(userns, syscalls.CLONE_NEWUSER)
            home = -1
            with Step("create a namespace for the resident child to be in", _causes.NETWORK):
                unshare_within(patience)
        elif userns == ALWAYS or not may_make_namespaces():
            with Step("create a namespace without privilege, nor a user namespace that gives it", _causes.USER):
                if userns == NEVER:
                    raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
                id_maps.become_root(0, patience)
            with Step("create the namespace", _causes.NETWORK):
                syscalls.unshare()
    except Refused as refused:
        return home, refused
    return go_back(home), None


def go_back(home: int) -> int:
    """Go to a namespace if there is a way back into it; return a descriptor of the one to be in instead if not."""
    try:
        if home < 0:
            return syscalls.open_own_namespace()
        syscalls.setns(home)
    except PermissionError:
        return syscalls.open_own_namespace()
    return home


def may_make_namespaces() -> bool:
    """Whether this process may, as it is; it is in another than its parent's then, if there is no way back."""
    try:
        with Step("create the namespace", _causes.NETWORK):
            syscalls.unshare()
    except Refused as refused:
        if isinstance(refused.__cause__, PermissionError):
            return False
        raise
    return True


def unshare_within(seconds: float) -> None:
    """Move into a new namespace, at a limit as soon as the kernel has taken down those of the child before."""
    deadline = syscalls.monotonic() + seconds
    while True:
        try:
            return syscalls.unshare()
        except OSError as error:
            if error.errno not in PASSING or syscalls.monotonic() > deadline:
                raise
        syscalls.sleep(UNSHARE_PAUSE)


def main(control: int, parent: int, home: int, record_number: int, userns: int, mounts: int, patience: int) -> None:
    """Run the resident child.

    :param control: its end of the control socket.
    :param parent: the pid of the process it serves.
    :param home: a descriptor of the namespace to be in between requests.
    :param record_number: tells its record from others of the parent; the child that replaces it gets the same.
    :param userns: a descriptor of the user namespace of the child before it, or whether to make one.
    :param mounts: a descriptor of the mount namespace of the child before it, if that had names of its own, or -1.
    :param patience: how long each step may wait for others before it does without them, in milliseconds.
    """
    # The parent's end is the only signal that counts: Ctrl-C and a job runner's SIGTERM reach the whole group.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a supervisor may have it ignored, and so inherited
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gc.disable()  # there are no cycles to collect, and no pauses to take
    undo_the_dead(patience / 1000)  # as the user we are outside
    record = open_journal(parent, record_number)
    original = syscalls.namespace_id(home)
    home, refused = find_home(home, userns, patience / 1000)
    if mounts >= 0 and home >= 0:
        syscalls.setns(mounts, syscalls.CLONE_NEWNS)
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, control)
    resident = Resident(channel, parent, home, record, refused, has_own_names=mounts >= 0, original=original)
    if resident.serve():
        # Not where it ends by an exception: then the parent lives, and starts another that takes over.
        resident.clean_up()
    elif not resident.namespaces:
        record.close()
