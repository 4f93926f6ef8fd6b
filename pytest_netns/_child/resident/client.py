"""The child mode ``resident``: one child for the session, which makes the namespaces of the other modes too."""

from __future__ import annotations

import contextlib
import errno
import marshal
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..._errors import (
    ChildDiedError,
    ChildModeError,
    ChildProtocolError,
    NetNSError,
    NetNSLimitError,
    NetNSTimeoutError,
    is_meant,
)
from ..._handle import Handle
from ..._linux import fdpass, run_netns, syscalls
from .. import CALL_MODES
from ..protocol import Call, Spec
from . import requests
from .process import Gone, Process
from .supervisor import Supervisor

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

LOCK_PAUSE = 0.02  # seconds between two tries to bind a name


class ResidentMode(Supervisor):
    """The child mode ``resident``, which also makes the namespaces that the other modes enter."""

    name = "resident"

    def create(
        self,
        handle: Handle,
        *,
        lo: int,
        sysctl: Mapping[str, str],
        specs: Sequence[Spec] = (),
        received: fdpass.Received | None = None,
    ) -> None:
        """Make a namespace, which the handle holds then; it is known by it until :meth:`forget`, also if this fails.

        :param lo: how much loopback it gets, ``DOWN``, ``UP`` or ``COMPLETE`` of :mod:`pytest_netns._linux.loopback`.
        :param specs: sockets to make in it too, all or none.
        :param received: what owns these.
        """
        self._namespaces[handle.key] = handle
        handle.loopback = lo
        generation = self._generation
        received = received or fdpass.Received()
        try:
            request = requests.request(requests.CREATE, handle.key, lo, dict(sysctl), list(specs), *handle.about)
            try:
                self._note(self._ask(request, received, handle.child_timeout, handle))
            except NetNSLimitError:
                if not specs or not received.fds:  # else there was room for the namespace, and not for all the sockets
                    raise
            if not received.fds:
                raise ChildProtocolError(errno.EPROTO, f"{handle}: the resident child passed no namespace")
            handle.identity = syscalls.namespace_id(received.fds[0])
            handle.fd = received.fds[0]  # from here on, another thread that ends the session may close it
            del received.fds[0]
        except BaseException:
            received.close()
            raise
        if generation != self._generation:  # another child has taken over, perhaps before there was a descriptor
            self._adopt(handle)
        if self._userns in (requests.IF_NEEDED, requests.ALWAYS):
            self._keep_user_namespace(handle.fd)

    def _adopt(self, handle: Handle) -> None:
        process = self._process
        if process is not None:
            with contextlib.suppress(Gone):  # the next one is told as it starts
                process.tell(requests.ADOPT, handle.key, handle.name, *handle.about, fds=[handle.fd])

    def _keep_user_namespace(self, ns: int) -> None:
        """Keep the user namespace of the child, if it has one, for the child that may have to replace it."""
        is_below, owners = syscalls.is_owned_below(ns), list[int]()
        with self._lock:
            if self._userns < 0:
                if is_below:
                    syscalls.open_owner(ns, owners)
                self._userns = owners[0] if is_below else requests.NEVER

    def bind(self, handle: Handle, name: str) -> None:
        """Give a namespace a name under /run/netns, without privilege one that only the child and commands see."""
        if self._userns >= 0:
            self._own_names(handle)
        handle.name = name  # before it is there: a child that takes over may find it half made
        try:
            self._bind(handle, name)
        except (ChildDiedError, ChildProtocolError, NetNSTimeoutError):
            raise
        except NetNSError:
            handle.name = None  # it is that of another, or cannot be
            raise

    def _bind(self, handle: Handle, name: str) -> None:
        """Let the child bind a name, as soon as nobody else has the directory locked; it does not wait itself."""
        deadline = syscalls.monotonic() + handle.child_timeout
        while True:
            answer = self._ask_text(requests.request(requests.BIND, handle.key, name), handle.child_timeout, handle)
            holder, trouble = marshal.loads(answer)
            self._note(trouble)
            if not holder:
                return
            if syscalls.monotonic() > deadline:
                raise NetNSTimeoutError(
                    errno.ETIMEDOUT,
                    f"{handle}: cannot bind the name {name}: {holder} has had {run_netns.DIRECTORY} locked for "
                    f"{handle.child_timeout:g} s (flock(2)); wait for its end, or end it",
                )
            syscalls.sleep(LOCK_PAUSE)

    def _note(self, trouble: bytes) -> None:
        if trouble and not self.without_journal:
            self.without_journal: str = trouble.decode(errors="replace")

    def _own_names(self, handle: Handle) -> None:
        """Keep the mount namespace of the child with its names, for commands and the child that may replace it."""
        received = fdpass.Received()
        try:
            if self._mounts < 0:
                self._ask(requests.request(requests.OWN_NAMES), received, handle.child_timeout, handle)
            with self._lock:
                if self._mounts < 0:  # no other thread was faster
                    self._mounts = received.fds[0]
                    del received.fds[0]
            received.close()
        except BaseException:
            received.close()
            raise

    def own_etc(self, handle: Handle, files: Mapping[str, str], received: fdpass.Received) -> None:
        """Have a mount namespace made with these files in /etc; it is received, and then each file."""
        try:
            self._ask(requests.request(requests.OWN_ETC, dict(files)), received, handle.child_timeout, handle)
        except NetNSError as error:
            self.without_own_etc: str = self.without_own_etc or str(getattr(error, "strerror", None) or error)
            raise

    def signal(
        self, asked: Sequence[tuple[Handle, Sequence[int]]], number: int, spared: Sequence[int]
    ) -> list[tuple[list[int], list[int]]]:
        """Signal what runs in namespaces, and what commands in them have started.

        :param asked: each namespace, and the pids of children of ours that were started in it.
        :param number: the signal, or 0 for none.
        :param spared: pids of what is not signalled, although it runs inside.
        :return: for each the pids of those that have not ended, and of what the commands have started and is in the
            original namespace, where nothing is signalled.
        """
        handles = [handle for handle, _ in asked]
        keys = [(handle.key, list(commands)) for handle, commands in asked]
        request = requests.request(requests.SIGNAL, keys, int(number), list(spared))
        what = f"{handles[0]} and {len(handles) - 1} more" if len(handles) > 1 else handles[0]
        answer = self._ask_text(request, max(handle.child_timeout for handle in handles), what)
        found: list[tuple[list[int], list[int]]] = marshal.loads(answer)
        return found

    def forget(self, handle: Handle) -> None:
        """Let the child let go of a namespace and remove its name, if it has one."""
        if handle.key not in self._namespaces:
            return
        if self._closed:  # the child has undone what there was, as it ended
            handle.name = None
            del self._namespaces[handle.key]
            return
        request = requests.request(requests.FORGET, handle.key)
        if handle.name is not None:
            try:
                self._tell_and_wait(request, handle)
            except (ChildDiedError, ChildProtocolError, NetNSTimeoutError):
                self._tell_and_wait(request, handle)  # of the child that takes over: the name must not stay
            handle.name = None
        else:
            process = self._process
            if process is not None:
                self._tell(process, requests.FORGET, handle.key)
        self._namespaces.pop(handle.key, None)

    def _tell(self, process: Process, verb: bytes, key: int) -> None:
        try:
            process.tell(verb, key)
        except Gone:
            return  # then it holds nothing any more
        except BlockingIOError:  # it hangs, and what was told to it before has not been read
            self._discard(process)

    def unbind(self, handle: Handle) -> None:
        """Remove the name of a namespace, if it has one."""
        if handle.name is not None:
            self._tell_and_wait(requests.request(requests.UNBIND, handle.key), handle)
            handle.name = None

    def stay(self, seconds: float, items: Sequence[tuple[Handle, str, Sequence[int], Sequence[int]]]) -> None:
        """Let the child stay with namespaces when this process has ended; it is forgotten here that they are there.

        :param seconds: how long it stays at most.
        :param items: each namespace, the test that has failed, a mount namespace or nothing, and pipes of its programs.
        :raises NetNSError: it cannot.
        """
        received, fds = fdpass.Received(), [fd for _, _, mounts, pipes in items for fd in (*mounts, *pipes)]
        told = [(handle.key, test, len(mounts), len(pipes)) for handle, test, mounts, pipes in items]
        self._ask(requests.request(requests.STAY, seconds, told), received, self._timeout, "the session", fds)
        if self._process is not None:
            self._process.stays = True
        for handle, *_ in items:
            del self._namespaces[handle.key]

    def still_there(self, keys: Iterable[int]) -> set[int]:
        """Return those of these keys whose namespaces something keeps, as far as the child that runs knows of them."""
        if self._process is None:
            return set()
        request, what = requests.request(requests.STILL_THERE, list(keys)), "the closed namespaces"
        return set(marshal.loads(self._ask_text(request, self._timeout, what)))

    def sockets(
        self, handle: Handle, specs: Sequence[Spec], received: fdpass.Received, timeout: float | None = None
    ) -> None:
        request = requests.request(requests.SOCKETS, handle.key, list(specs))
        self._ask(request, received, handle.child_timeout if timeout is None else timeout, handle)

    def call(self, handle: Handle, asked: Call) -> Any:
        raise ChildModeError(
            "the resident child has the standard library only and cannot run a function of yours; "
            f"give one of {', '.join(CALL_MODES)} as child_mode, or none to run it in a thread"
        )

    def sysctl(self, handle: Handle, verb: bytes, *arguments: str) -> str:
        """Read, write or list sysctls of a namespace."""
        return self._tell_and_wait(requests.request(verb, handle.key, *arguments), handle).decode(errors="replace")

    def read_files(
        self, handle: Handle, paths: Sequence[str], timeout: float, *, with_sysctls: bool
    ) -> tuple[list[bytes], dict[str, bytes]]:
        """Return what is in files, as a process inside a namespace sees them, and in all of its sysctls by their keys.

        What is not there, or cannot be read, is empty.

        :param timeout: how long the child may take, in seconds.
        """
        request = requests.request(requests.READ_FILES, handle.key, list(paths), with_sysctls)
        found: tuple[list[bytes], dict[str, bytes]] = marshal.loads(self._ask_text(request, timeout, handle))
        return found

    def open_files(self, handle: Handle, paths: Sequence[str], received: fdpass.Received) -> None:
        """Open files as a process inside a namespace sees them; each of their descriptors keeps the namespace."""
        request = requests.request(requests.OPEN_FILES, handle.key, list(paths))
        self._ask(request, received, handle.child_timeout, handle)
