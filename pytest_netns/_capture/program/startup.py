"""The start of the recorder, and its end."""

from __future__ import annotations

import _socket as socket
import gc
import os
import resource

from ..._linux import fdpass
from . import sockets
from .requests import READY
from .server import Server

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
else:
    import _signal as signal  # without the enumerations, which take milliseconds


def main(control: int, parent: int, keys: str) -> None:
    """Run the recorder.

    :param control: its end of the control socket.
    :param parent: the pid of the process that it serves.
    :param keys: a folder to remove at its end, with the one file in it, or nothing.
    """
    # The parent's end is the only signal that counts: Ctrl-C and a job runner's SIGTERM reach the whole group.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    stamping = sockets.stamp_all_frames()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    gc.disable()  # there are no cycles to collect
    channel = socket.SocketType(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, control)
    server = Server(channel, parent)
    try:
        fdpass.send(channel, READY)  # what has come before has no time
        server.serve()
        server.outlive()
    finally:
        stamping.close()
        if keys:
            _remove(keys)
    os._exit(0)  # a thread may wait for the kernel, which closes what is left


def _remove(folder: str) -> None:
    try:
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
        os.rmdir(folder)
    except FileNotFoundError:
        return  # the parent has done it
