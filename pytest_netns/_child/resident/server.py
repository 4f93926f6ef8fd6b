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
from .verbs import Verbs

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
        self.poll = select.epoll()
        self.poll.register(control, select.EPOLLIN)
        self.come = select.poll()
        self.come.register(control, select.POLLIN)
        if self.parent_pidfd is not None:
            self.poll.register(self.parent_pidfd, select.EPOLLIN)

    def serve(self) -> bool:
        """Serve until the parent is gone, or until another child may have more luck; return whether the parent is."""
        wait = -1 if self.parent_pidfd is not None else ORPHAN_POLL
        while True:
            events = self.poll.poll(wait if self.verbs.lacks is None else 0)
            if not events and self.verbs.lacks is not None:
                self.verbs.make_spare(self.verbs.lacks)
            for fd, _ in events:
                if fd in self.channels:
                    self.answer(self.channels[fd])
                elif fd == self.parent_pidfd or not self.take_control_messages():
                    return True
            if self.verbs.is_to_be_replaced:
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
            if payload[:1] == requests.CONNECT:
                channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, received.fds.pop())
                self.channels[channel.fileno()] = channel
                self.poll.register(channel, select.EPOLLIN)
            elif payload[:1] == requests.ADOPT:
                self.verbs.adopt(received.fds.pop(), *marshal.loads(payload[1:]))
            else:
                self.verbs.forget(*marshal.loads(payload[1:]))
        return True

    def answer(self, channel: fdpass.Channel) -> None:
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

    def drop(self, channel: fdpass.Channel) -> None:
        self.poll.unregister(channel)
        del self.channels[channel.fileno()]
        channel.close()

    def handle(self, message: bytes) -> tuple[bytes, list[int]]:
        try:
            return self.verbs.by_name[message[:1]](*marshal.loads(message[1:]))
        except Exception as error:
            return failure(error), []
