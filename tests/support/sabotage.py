"""Makes a child fail at one of its steps, for real: by a seccomp filter on the system call of that step.

A child that was forked from the tests, or from a fork server, applies what stands in the file SABOTAGE names; a spawned
one does so as it starts, the resident child before its next request. So this module has the standard library only.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import signal
import struct
import sys
from typing import Any

# Numbers of <asm/unistd.h>, and the audit architecture, for x86_64 and for those with the generic table.
X86_64 = platform.machine() == "x86_64"
SYSTEM_CALLS = {
    "enter": 308 if X86_64 else 268,  # setns
    "create": 41 if X86_64 else 198,  # socket
    "send": 46 if X86_64 else 211,  # sendmsg
    "end": 231 if X86_64 else 94,  # exit_group
    "unshare": 272 if X86_64 else 97,
    "mount": 165 if X86_64 else 40,
    "umount": 166 if X86_64 else 39,
}
SECCOMP = 317 if X86_64 else 277

PR_SET_NO_NEW_PRIVS = 38
SECCOMP_SET_MODE_FILTER = 1
SECCOMP_FILTER_FLAG_NEW_LISTENER = 8
KILL_PROCESS, ERRNO, USER_NOTIF, ALLOW = 0x80000000, 0x00050000, 0x7FC00000, 0x7FFF0000


def deny(system_call: int, action: str) -> None:
    """Have the kernel kill this process at a system call, let it wait for ever, or fail with an errno."""
    verdict = {"kill": KILL_PROCESS, "hang": USER_NOTIF}.get(action)
    if verdict is None:
        verdict = ERRNO | getattr(errno, action)
    instructions = [
        (0x20, 0, 0, 0),  # load the number of the system call
        (0x15, 0, 1, system_call),  # if it is this one
        (0x06, 0, 0, verdict),
        (0x06, 0, 0, ALLOW),
    ]
    code = b"".join(struct.pack("HBBI", *instruction) for instruction in instructions)
    buffer = ctypes.create_string_buffer(code, len(code))
    server = struct.pack("HxxxxxxP", len(instructions), ctypes.addressof(buffer))
    libc = ctypes.CDLL(None, use_errno=True)
    flags = SECCOMP_FILTER_FLAG_NEW_LISTENER if action == "hang" else 0  # nobody ever listens
    if (
        libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0
        or libc.syscall(SECCOMP, SECCOMP_SET_MODE_FILTER, flags, server) < 0
    ):
        raise OSError(ctypes.get_errno(), "seccomp")


def apply(where: str) -> None:
    """Do to this process what the file named by SABOTAGE says: a step and an action, for one kind of child."""
    try:
        with open(os.environ["SABOTAGE"]) as file:
            child, step, action, *once = file.read().split()
    except (KeyError, FileNotFoundError, ValueError):
        return
    if child != where:
        return
    if once:
        os.unlink(os.environ["SABOTAGE"])
    if step != "start":
        deny(SYSTEM_CALLS[step], action)
    elif action == "exit":
        os._exit(3)
    else:
        os.kill(os.getpid(), {"kill": signal.SIGKILL, "hang": signal.SIGSTOP}[action])


def run_resident() -> None:
    """Be the resident child, sabotaged."""
    apply("resident-start")
    sys.path.append(os.environ["SABOTAGE_PACKAGE"])
    from pytest_netns._child.resident import server, startup

    handle = server.Server.handle

    def sabotaged(*args: Any, **kwargs: Any) -> tuple[bytes, list[int]]:
        apply("resident")
        return handle(*args, **kwargs)

    server.Server.handle = sabotaged  # type: ignore[method-assign]
    startup.main(*map(int, sys.argv[1:]))


if __name__ == "__main__":
    run_resident()
