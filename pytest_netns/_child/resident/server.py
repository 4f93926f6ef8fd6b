"""The program of the resident child: one small process that makes namespaces and sockets for one pytest process.

It runs as ``python -I -S`` with the standard library only, so it is small and starts fast whatever the size of pytest.
It has one thread: it enters a namespace, does one thing there, and returns before it answers. Of each namespace it
keeps a descriptor until it is told to forget it, so that, when its parent dies in whatever way, it knows what to undo:
the processes in these namespaces are killed, the names are unmounted, and then it ends, and the namespaces with it. It
keeps a record of them too: if it is killed itself, the resident child of the next session undoes what is in there.

A thread of the parent sends its requests over a channel of its own, for the time of the request, so that none waits for
another's answer. What needs no answer (a channel to connect, a namespace to adopt or to forget) comes over the control
socket.
"""

from __future__ import annotations

import _socket as socket
import marshal
import os
import select

from ..._linux import fdpass, syscalls
from ..reply import failure, reply
from . import requests
from .keeper import Keeper, drain
from .verbs import Verbs
from .witness import Witness

OUTSIDER_TIME = 1.0  # seconds for another program to read an answer
ORPHAN_POLL = 1.0  # seconds between two looks at the parent, where the kernel has no pidfd_open(2)


class Server:
    """Serves the requests of one parent until that parent is gone.

    :param control: this side's end of the control socket.
    :param verbs: what is done for it.
    """

    def __init__(self, control: fdpass.Channel, verbs: Verbs) -> None:
        self.control = control
        self.parent = verbs.parent
        self.parent_pidfd = syscalls.open_pidfd(self.parent)
        self.verbs = verbs
        verbs.hear = self.take_control_messages
        self.channels: dict[int, fdpass.Channel] = {}
        self.keeper = Keeper(verbs)
        self.witness: Witness | None = None
        verbs.by_name[requests.UNBIND] = self.keeper.unbind
        self.outsiders: set[int] = set()
        """The channels of other programs of the user."""
        self.poll = select.epoll()
        self.poll.register(control, select.EPOLLIN)
        self.come = select.poll()
        self.come.register(control, select.POLLIN)
        if self.parent_pidfd is not None:
            self.poll.register(self.parent_pidfd, select.EPOLLIN)
        self.listener = verbs.record.listener
        if self.listener is not None:
            self.poll.register(self.listener, select.EPOLLIN)

    def serve(self) -> bool:
        """Serve until the parent is gone, or until another child may have more luck; return whether the parent is."""
        wait = -1 if self.parent_pidfd is not None else ORPHAN_POLL
        while True:
            events = self.poll.poll(wait if self.verbs.lacks is None else 0)
            if not events and self.verbs.lacks is not None:
                self.verbs.make_spare(*self.verbs.lacks)
            for fd, _ in events:
                if fd in self.channels:
                    self.answer(self.channels[fd])
                elif self.listener is not None and fd == self.listener.fileno():
                    self.accept(self.listener)
                elif fd == self.parent_pidfd or not self.take_control_messages():
                    return True
            if self.verbs.is_to_be_replaced:
                return False  # what is asked meanwhile, another child is asked anew, since nobody has read it
            if self.parent_pidfd is None and os.getppid() != self.parent:
                return True

    def look(self) -> None:
        """Have it seen what the parent has left, if it died in a test."""
        if self.witness is not None:
            self.witness.look(list(self.verbs.namespaces.values()))

    def stay(self) -> None:
        """Serve other programs of the user as long as namespaces are kept, now that the parent is gone."""
        self.keeper.take_over()
        for fd in [self.control.fileno(), *([] if self.parent_pidfd is None else [self.parent_pidfd])]:
            self.poll.unregister(fd)
        for channel in list(self.channels.values()):
            self.drop(channel)
        for pipe in self.keeper.pipes():
            os.set_blocking(pipe, False)
            self.poll.register(pipe, select.EPOLLIN)
        while self.keeper.kept and (left := self.keeper.until - syscalls.monotonic()) > 0:
            for fd, _ in self.poll.poll(left):
                if fd in self.channels:
                    self.answer(self.channels[fd])
                elif self.listener is not None and fd == self.listener.fileno():
                    self.accept(self.listener)
                elif not drain(fd):
                    self.poll.unregister(fd)

    def accept(self, listener: fdpass.Channel) -> None:
        """Connect another program of the user."""
        try:
            fd, _ = listener._accept()  # type: ignore[attr-defined]  # the class beneath socket.socket has no other
        except OSError:
            return  # it has gone
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fd)
        fdpass.limit(channel, OUTSIDER_TIME)
        self.channels[fd] = channel
        self.outsiders.add(fd)
        self.poll.register(channel, select.EPOLLIN)

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
            if payload[:1] == requests.CONNECT:
                channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, received.fds.pop())
                self.channels[channel.fileno()] = channel
                self.poll.register(channel, select.EPOLLIN)
            elif payload[:1] == requests.ADOPT:
                self.verbs.adopt(received.fds.pop(), *marshal.loads(payload[1:]))
            elif payload[:1] == requests.WITNESS:
                self.witness = Witness(marshal.loads(payload[1:])[0], received.fds[:])
                del received.fds[:]
            else:
                self.verbs.forget(*marshal.loads(payload[1:]))
        return True

    def answer(self, channel: fdpass.Channel) -> None:
        fds: list[int] = []
        try:
            received = fdpass.Received()
            message = fdpass.receive(channel, received)
            payload, fds = self.handle(message, received.fds, is_outside=channel.fileno() in self.outsiders)
            if received.fds:  # that nobody has taken
                received.close()
            reply(channel, payload, fds)
        except (fdpass.Closed, fdpass.Garbage, OSError):  # nobody is there to tell, or who does not speak this
            self.drop(channel)
        finally:
            for fd in fds:
                os.close(fd)

    def drop(self, channel: fdpass.Channel) -> None:
        self.poll.unregister(channel)
        self.outsiders.discard(channel.fileno())
        del self.channels[channel.fileno()]
        channel.close()

    def handle(self, message: bytes, given: list[int], *, is_outside: bool) -> tuple[bytes, list[int]]:
        try:
            if message[:1] == requests.STAY and not is_outside:
                return self.keeper.stay(given, *marshal.loads(message[1:]))
            by_name = self.keeper.by_name if is_outside else self.verbs.by_name
            return by_name[message[:1]](*marshal.loads(message[1:]))
        except Exception as error:
            return failure(error), []
