"""The program of the recorder: one small process that records the frames of the namespaces of one pytest process.

It runs as ``python -I -S`` with the standard library only. It never enters a namespace: it is passed packet sockets
that were made inside. If its parent dies in the middle of a test, it writes what that test has recorded, and ends.
"""

from __future__ import annotations

import _socket as socket
import _thread
import errno
import marshal
import os
import select

from ..._child.reply import OK, failure
from ..._linux import fdpass, syscalls
from . import requests
from .artefact import Artefact, write
from .crossings import frames_of
from .links import TOO_MANY, Links, Overflow
from .recording import Recording
from .ring import Ring
from .sizes import Memory
from .workers import Workers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .links import End

ORPHAN_POLL = 1.0  # seconds between two looks at the parent, where the kernel has no pidfd_open(2)


class Server:
    """Serves the requests of one parent until that is gone.

    :param control: this side's end of the control socket.
    :param parent: its pid.
    """

    def __init__(self, control: fdpass.Channel, parent: int) -> None:
        self.control = control
        self.parent = parent
        self.parent_pidfd = syscalls.open_pidfd(parent)
        self.recordings: dict[int, Recording] = {}
        self.by_fd: dict[int, Recording] = {}
        self.watched: dict[int, tuple[int, Recording]] = {}
        self.links = Links()
        self.test: Artefact | None = None
        self.missing: list[str] = []  # why a namespace of this test is not recorded, if so
        self.memory = Memory()
        self.workers = Workers()
        # Of the recordings: a thread changes one when its ring is set up, and where there can be none, who holds this.
        self.lock = _thread.RLock()
        self.come = select.poll()
        self.come.register(control, select.POLLIN)
        self.poll = select.epoll()
        for fd in (control.fileno(), self.parent_pidfd):
            if fd is not None:
                self.poll.register(fd, select.EPOLLIN)
        self.by_verb: dict[bytes, Callable[..., tuple[bytes, list[int]]]] = {
            requests.TEST: self.begin,
            requests.ADD: self.add,
            requests.LINKS: self.know_links,
            requests.STOP: self.stop,
            requests.DROP: self.drop,
            requests.FRAMES: self.frames,
            requests.WRITE: self.write,
            requests.END: self.end,
        }

    def serve(self) -> None:
        wait = -1 if self.parent_pidfd is not None else ORPHAN_POLL
        while True:
            for fd, _ in self.poll.poll(wait):
                if fd == self.parent_pidfd:
                    return
                if fd == self.control.fileno():
                    if self.has_come() and not self.answer():  # it may have been answered on the side
                        return
                elif fd in self.watched:
                    self.look_at_links(*self.watched[fd])
                else:
                    with self.lock:
                        self.look_at(fd)
            if self.parent_pidfd is None and os.getppid() != self.parent:
                return

    def look_at(self, fd: int) -> None:
        """Take what has come for a recording, and see to it that what comes next has room."""
        recording = self.by_fd.get(fd)
        if recording is None:
            return  # a thread has just ended with this socket
        if recording.ring is not None:
            recording.look_at_ring()
            return
        sock, recording.for_ring = recording.for_ring, None
        if sock is None or recording.queue is None:
            return
        self.forget(recording.queue)  # what it queues is read when the ring is there
        size = self.memory.take()
        if size is None:
            recording.trouble = "there was no memory for a ring, so the newest frames may be missing"
            self.workers.do(sock.close)
        else:
            self.workers.do(lambda: self.make_ring(recording, sock, *size))

    def make_ring(self, recording: Recording, sock: socket.socket, block_size: int, blocks: int) -> None:
        """Set up the ring of a recording, in a thread."""
        ended: list[Ring | socket.socket]
        try:
            ring = Ring(sock, recording.longest, block_size, blocks)
        except OSError as error:
            with self.lock:
                recording.trouble = f"no ring could be made ({error.strerror}), so the newest frames may be missing"
                self.memory.give_back(block_size * blocks)
            sock.close()
            return
        with self.lock:
            if recording.is_stopped:
                self.memory.give_back(ring.size)
                ended = [ring]
            else:
                self.by_fd[sock.fileno()] = recording
                # Told once of each block that is full: those that are not given back would be told for ever.
                self.poll.register(sock, select.EPOLLIN | select.EPOLLET)
                ended = [self.forget(one) for one in recording.take_ring(ring)]
        for one in ended:
            one.close()

    def look_at_links(self, key: int, recording: Recording) -> None:
        """Have outgoing frames be taken, if the namespace has a link now of which the other end is not recorded."""
        assert recording.watch is not None
        try:
            changed = list(recording.watch.changed())
        except Overflow:
            self.take_outgoing(key, unseen=TOO_MANY)
            return
        if not all(self.links.know(key, index) for index, _, _ in changed):
            while self.has_come() and self.answer():
                pass  # the test process tells of a link before it makes it
        for index, is_up, is_recorded in changed:
            if not self.links.know(key, index):
                if is_up:
                    self.take_outgoing(key, index)
            elif not is_recorded:
                for end in (key, *self.links.opposite(key, index)):
                    self.take_outgoing(end)

    def take_outgoing(self, key: int, link: int | None = None, unseen: str = "") -> None:
        """Have outgoing frames be taken too from now on.

        :param link: the index of a link that may have sent some before.
        :param unseen: what to say of those that were not taken.
        """
        with self.lock:
            recording = self.recordings.get(key)
            watch = None if recording is None else recording.take_outgoing()
            if recording is not None and watch is not None:
                recording.unseen = unseen if link is None else watch.missed(link)
                self.forget(watch.sock).close()

    def forget(self, sock: socket.socket) -> socket.socket:
        """Wait for what a socket receives no more."""
        number = sock.fileno()
        if self.by_fd.pop(number, None) is not None or self.watched.pop(number, None) is not None:
            self.poll.unregister(number)
        return sock

    # Requests

    def has_come(self) -> bool:
        """Whether there is a request, or the parent has let go of the control socket."""
        return bool(self.come.poll(0))

    def answer(self) -> bool:
        """Serve one request; return whether the parent still holds the control socket."""
        received = fdpass.Received()
        try:
            message = fdpass.receive(self.control, received)
        except (fdpass.Closed, OSError) as error:
            received.close()
            if getattr(error, "errno", None) not in (errno.EMFILE, errno.ENFILE):
                return False
            self.missing = ["the recorder had no descriptors for a namespace (EMFILE), so its frames are missing"]
            return True
        verb = message[:1]
        number, *arguments = marshal.loads(message[1:])
        fds: list[int] = []
        try:
            if verb == requests.ADD:
                arguments.append(received.fds)
            with self.lock:
                payload, fds = self.by_verb[verb](*arguments)
        except Exception as error:
            payload = failure(error)
        finally:
            received.close()
        try:
            if verb in requests.ANSWERED:
                fdpass.send(self.control, number.to_bytes(8, "little") + payload, fds)
        except OSError:
            return False
        finally:
            syscalls.close_all(fds)
        return True

    def begin(self, *what: Any) -> tuple[bytes, list[int]]:
        """Know the test that begins, for the case that the parent dies in the middle of it."""
        self.test, self.missing = Artefact(*what), []
        for recording in self.recordings.values():
            recording.begin()
        return OK, []

    def add(self, key: int, label: str, longest: int, is_by_hand: bool, fds: list[int]) -> tuple[bytes, list[int]]:
        recording = Recording(label, longest, is_by_hand, fds)
        self.recordings[key] = recording
        assert recording.queue is not None
        self.by_fd[recording.queue.fileno()] = recording
        self.poll.register(recording.queue, select.EPOLLIN)
        if recording.watch is not None:
            self.watched[recording.watch.sock.fileno()] = key, recording
            self.poll.register(recording.watch.sock, select.EPOLLIN)
        return OK, []

    def know_links(self, since: int, ends: list[tuple[End, End]]) -> tuple[bytes, list[int]]:
        """Know links that are about to be made."""
        for one, other in ends:
            if one[0] in self.recordings and other[0] in self.recordings:
                self.links.add(since, one, other)
        return OK, []

    def stop(self, key: int, *, is_wanted: bool = True) -> tuple[bytes, list[int]]:
        """Let go of a namespace."""
        recording = self.recordings.get(key)
        if recording is not None:  # it may be that the recorder before had it
            ended = recording.stop(is_wanted=is_wanted)
            for one in ended:
                self.forget(one.sock if isinstance(one, Ring) else one)
                if isinstance(one, Ring):
                    self.memory.give_back(one.size)
            if ended:
                self.workers.do(lambda: [one.close() for one in ended])
        return OK, []

    def drop(self, key: int) -> tuple[bytes, list[int]]:
        self.stop(key, is_wanted=False)
        self.pop(key)
        return OK, []

    def pop(self, key: int) -> None:
        self.recordings.pop(key, None)
        self.links.forget(key)

    def frames(self, keys: list[int] | None, since: int) -> tuple[bytes, list[int]]:
        """Pass a file with the frames of some recordings, or of all that are not by hand."""
        if not self.recordings.keys() >= set(keys or ()):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))  # as one came
        chosen = self.automatic() if keys is None else {key: self.recordings[key] for key in keys}
        found = self.links.frames(chosen, since)
        content = [(key, one.label, one.left_out, found[key]) for key, one in chosen.items()]
        file = os.memfd_create("frames", os.MFD_CLOEXEC)
        try:
            with open(file, "wb", closefd=False) as writer:
                marshal.dump(content, writer)
        except BaseException:
            os.close(file)
            raise
        return OK, [file]

    def automatic(self) -> dict[int, Recording]:
        return {key: one for key, one in self.recordings.items() if not one.is_by_hand}

    def write(self, comments: list[str], hosts: list[tuple[str, str]]) -> tuple[bytes, list[int]]:
        """Write the file of the test that runs; tell how many frames it has, and how many have not fitted."""
        return OK + marshal.dumps(self.written(comments, hosts)), []

    def written(self, comments: list[str], hosts: list[tuple[str, str]]) -> tuple[int, int, list[str]]:
        assert self.test is not None
        recordings = self.automatic()
        frames = frames_of(recordings, self.links, self.test.since)
        count, left_out, troubles = write(self.test, recordings, frames, comments, hosts)
        return count, left_out, troubles + self.missing

    def end(self) -> tuple[bytes, list[int]]:
        """Forget the test that has run, and what was recorded of namespaces that are closed."""
        self.test = None
        for key in [key for key, one in self.automatic().items() if one.is_stopped]:
            self.pop(key)
        return OK, []

    def outlive(self) -> None:
        """Write what a test has recorded in the middle of which the parent has died."""
        if self.test is None:
            return
        with self.lock:
            self.written([f"pytest (process {self.parent}) ended in the middle of this test"], [])
