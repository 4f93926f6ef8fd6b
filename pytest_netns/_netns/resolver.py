"""Host names, and the links behind addresses, looked up inside a namespace that no thread of this process can enter."""

from __future__ import annotations

import errno
import json
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from .._child.launch import options
from .._errors import ChildDiedError, how_it_ended, is_meant

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

PROGRAM = """
import json, socket, sys
try:
    print(json.dumps({"found": socket.getaddrinfo(*json.loads(sys.argv[1]))}))
except socket.gaierror as error:
    print(json.dumps({"failed": error.args}))
"""


def by_program(run: Callable[..., Any], *arguments: Any) -> list[Any]:
    """Do what ``socket.getaddrinfo`` does in a program of its own, which unlike a forked child is safe with threads.

    :param run: runs a command inside the namespace, as ``subprocess.run`` does.
    :param arguments: as of ``socket.getaddrinfo``.
    :raises socket.gaierror: as ``socket.getaddrinfo``.
    :raises ChildDiedError: the program ended without an answer.
    """
    host, *others = arguments
    host = host.decode() if isinstance(host, (bytes, bytearray)) else host
    command = [sys.executable, *options(), "-I", "-S", "-c", PROGRAM, json.dumps([host, *others])]
    done = run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    # Not by the exit status alone: where SIGCHLD is ignored, subprocess is not told it and says 0.
    if done.returncode or not done.stdout:
        how = how_it_ended(done.returncode or None)
        raise ChildDiedError(errno.ECHILD, f"{host}: the program that looks it up ended {how}; see stderr")
    answer = json.loads(done.stdout)
    if "failed" in answer:
        raise socket.gaierror(*answer["failed"])
    return [(*found, tuple(address)) for *found, address in answer["found"]]
