"""What the resident child does in its namespaces, a verb each."""

from __future__ import annotations

import errno
import marshal
import os

from ... import _causes
from ..._linux import loopback, own_etc, run_netns, syscalls
from ..reply import CREATING_SOCKET, ENTERING, OK, Refused, Step
from . import requests
from .files import Files
from .journal import Journal
from .namespaces import Namespace, bind_if_not_locked, make_sockets
from .nsid_watch import Observer, hasten_the_end
from .own_etc import in_a_child
from .reaper import Failed, Look, Reaper, kill_processes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Verb = Callable[..., tuple[bytes, list[int]]]
    Specs = list[tuple[int, int, int]]

# What may pass: limits, and a lack of memory.
PASSING = frozenset({errno.ENOSPC, errno.EUSERS, errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EIO})


class Verbs:
    """The namespaces of one parent, and what is done in them.

    :param parent: the pid of the process that is served.
    :param base: a descriptor of the namespace to be in between requests, or -1 if it cannot return to any.
    :param record: where namespaces are put down for the case that this process is killed.
    :param refused: why no namespace can be made, if so.
    :param has_own_names: whether this process is in a mount namespace with names of its own.
    :param original: what identifies the namespace of the parent.
    """

    def __init__(
        self,
        parent: int,
        base: int,
        record: Journal,
        refused: Refused | None,
        has_own_names: bool,
        original: tuple[int, int],
    ) -> None:
        self.original = original
        self.has_own_names = has_own_names
        self.refused = refused
        self.is_to_be_replaced = False
        self.record = record
        self.observer: Observer | None = None
        self.base = base
        self.parent = parent
        self.hear: Callable[[], object] = lambda: None
        """Hears what has been told, for which nobody waits."""
        self.namespaces: dict[int, Namespace] = {}
        self.forgotten: set[int] = set()  # before they were made: the two requests come over different sockets
        self.reapers: dict[int, Reaper] = {}
        self.spares: dict[int, Namespace] = {}  # by how much loopback they have
        self.lacks: tuple[int, Specs] | None = None
        self.files = Files(self.enter, self.return_to_base)
        self.by_name: dict[bytes, Verb] = {
            requests.CREATE: self.create,
            requests.BIND: self.bind,
            requests.OWN_NAMES: self.own_names,
            requests.OWN_ETC: self.own_etc,
            requests.FORGET: self.forget,
            requests.SIGNAL: self.signal,
            requests.STILL_THERE: self.still_there,
            requests.SOCKETS: self.sockets,
            **self.files.by_name,
        }

    def adopt(self, fd: int, key: int, name: str | None, *about: str) -> None:
        if key in self.namespaces:
            os.close(fd)
            return
        if self.base < 0:  # what the record says of it, the child before has written
            self.namespaces[key] = Namespace(fd, 0, name, about)
            return
        syscalls.setns(fd)
        try:
            cookie = syscalls.namespace_cookie()
        finally:
            self.return_to_base()
        self.namespaces[key] = Namespace(fd, cookie, name, about)
        self.put_on_record(key, name)

    def put_on_record(self, key: int, name: str | None) -> None:
        # Names of our own need nobody to remove them.
        self.record.put(self.namespaces[key].entry(key, None if self.has_own_names else name))

    # Each verb below returns the payload of the answer and the descriptors to pass, which are then closed here.

    def create(self, key: int, lo: int, sysctl: dict[str, str], specs: Specs, *about: str) -> tuple[bytes, list[int]]:
        if key in self.forgotten:  # whoever asked has been interrupted
            self.forgotten.remove(key)
            return OK, []
        namespace = self.spares.pop(lo, None) or self.make_namespace(lo)
        namespace.be_about(*about)
        self.lacks = None if lo == loopback.DOWN else (lo, specs)
        self.namespaces[key] = namespace
        self.put_on_record(key, None)
        for path, value in sysctl.items():
            self.files.write_sysctl(key, path, value)
        answer = OK + self.record.trouble.encode(errors="replace")
        with Step("open the namespace"):
            fds = [os.dup(namespace.fd)]
        made = namespace.take_sockets(specs)
        try:
            return answer, [*fds, *(made if made or not specs else self.sockets(key, specs)[1])]
        except Refused:
            return answer, fds  # whoever asks for them once more is told why

    def make_namespace(self, lo: int, specs: Specs | None = None) -> Namespace:
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
                namespace.make_sockets(specs or [])
            except BaseException:
                namespace.close()
                raise
        finally:
            self.return_to_base()
        namespace.lo = lo
        return namespace

    def make_spare(self, lo: int, specs: Specs) -> None:
        """Make the next namespace while nothing is asked, so that it is there when it is asked for.

        :param specs: sockets to make in it too, if there is room for all of them.
        """
        self.lacks = None
        try:
            self.spares[lo] = self.make_namespace(lo, specs)
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
            self.return_to_base()
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

    def own_etc(self, files: dict[str, str]) -> tuple[bytes, list[int]]:
        """Make a mount namespace with these files in /etc; pass that, and the files."""

        def make() -> list[int]:
            with Step("mount files of /etc in a mount namespace", _causes.FILES_OF_ETC):
                return own_etc.make(files)

        with Step("start a child that makes a mount namespace", _causes.STARTING):
            return in_a_child(make)

    def signal(self, asked: list[tuple[int, list[int]]], number: int, spared: list[int]) -> tuple[bytes, list[int]]:
        """Signal what runs in namespaces, and what these commands of the parent have started; tell what there is."""
        with Step("look for the processes in the namespace"):
            for key in [key for key, _ in asked if key not in self.reapers]:
                self.reapers[key] = Reaper({syscalls.namespace_id(self.namespaces[key].fd)}, self.original)
            look, found = Look(), []
            for key, roots in asked:
                left = self.reapers[key].signal(number, roots, self.parent, spared, look)
                found.append((left, self.reapers[key].strays()))
            return OK + marshal.dumps(found), []

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
        self.record.remove(key)
        return OK, []

    def watch(self, key: int, fd: int) -> None:
        """See to it that a namespace can go, and that it can be told whether it has."""
        if self.base < 0:
            return  # there would be no way back
        try:
            syscalls.setns(fd)
            try:
                hasten_the_end()
            finally:
                self.return_to_base()
            if self.observer is None:
                self.observer = Observer(self.base)
            self.observer.watch(key, fd)
        except OSError:
            return  # at a limit, for example: then it goes unseen, as it does where this child is killed

    def still_there(self, keys: list[int]) -> tuple[bytes, list[int]]:
        with Step("ask which namespaces are gone"):
            # What was to be forgotten before this was asked may wait: the control socket is another one.
            self.hear()
            return OK + marshal.dumps([key for key in keys if self.is_there(key)]), []

    def is_there(self, key: int) -> bool:
        return key in self.namespaces or (self.observer is not None and self.observer.there(key))

    def sockets(self, key: int, specs: Specs) -> tuple[bytes, list[int]]:
        self.enter(key)
        try:
            with CREATING_SOCKET:
                return OK, make_sockets(specs)
        finally:
            self.return_to_base()

    def refuse_if_it_must(self, why: Refused | None) -> None:
        """Say why nothing can be done; if that may pass, end then, for another child to try it anew."""
        if why is not None:
            self.is_to_be_replaced = isinstance(why.__cause__, OSError) and why.__cause__.errno in PASSING
            raise why

    def enter(self, key: int) -> None:
        with ENTERING:
            self.refuse_if_it_must(self.refused if self.base < 0 else None)
            syscalls.setns(self.namespaces[key].fd)

    def return_to_base(self) -> None:
        try:
            syscalls.setns(self.base)
        except OSError:
            os._exit(1)  # in the wrong namespace it must not serve on; the parent starts another

    def clean_up(self, *, is_last: bool = True) -> None:
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
        if is_last and is_undone:
            self.record.close()
