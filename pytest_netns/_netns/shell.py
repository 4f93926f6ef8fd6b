"""An interactive shell in a namespace: which one, on which terminal, and how its prompt says where one is."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shlex
import signal
import termios
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .._errors import NetNSUnsupportedError, is_meant
from .._linux import syscalls

if TYPE_CHECKING:
    from .commands import Processes
    from .programs import Programs

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

TERMINAL = "/dev/tty"  # that of the session, whatever stdin and stdout are (tty(4))
OTHERWISE = "/bin/sh"
RC_OF_BASH = """\
[ -f ~/.bashrc ] && . ~/.bashrc
PS1={prompt}"$PS1"
"""


def interactive(label: str, fds: list[int]) -> tuple[list[str], dict[str, str]]:
    """Return the command of the user's shell ($SHELL, or sh), and its environment.

    :param label: what the namespace is called.
    :param fds: gets a descriptor that the command has to inherit, if any.
    """
    shell = os.environ.get("SHELL", "")
    if not (os.path.isabs(shell) and os.access(shell, os.X_OK)):
        shell = OTHERWISE
    # Of a label, only what no shell expands in a prompt.
    prompt = f"[{re.sub(r'[^A-Za-z0-9_.:@-]', '_', label)}] "
    env = {**os.environ, "PS1": f"{prompt}$ ", "PROMPT": f"{prompt}%# "}
    if os.path.basename(shell) != "bash":
        return [shell, "-i"], env
    # Its own files would set another prompt, so it reads one that reads them first.
    fd = os.memfd_create("bashrc", 0)
    fds.append(fd)
    os.write(fd, RC_OF_BASH.format(prompt=shlex.quote(prompt)).encode())
    return [shell, "--rcfile", f"/dev/fd/{fd}", "-i"], env


def run(ns: Programs, processes: Processes) -> int:
    """Run a shell in a namespace on the terminal, and return its exit status.

    :raises NetNSUnsupportedError: there is no terminal that it could have for itself.
    """
    if "PYTEST_XDIST_WORKER" in os.environ:
        text = f"{ns}: a worker of pytest-xdist has no terminal for a shell; run the test without -n"
        raise NetNSUnsupportedError(errno.ENOTTY, text)
    fds: list[int] = []
    try:
        try:
            syscalls.keep(fds, os.open, TERMINAL, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            text = f"{ns}: there is no terminal for a shell; start pytest from one, or remove the call of shell()"
            raise NetNSUnsupportedError(error.errno or errno.ENOTTY, text) from None
        terminal = fds[0]
        command, env = interactive(ns.label, fds)
        with _restored(terminal):
            done = processes.run(command, stdin=terminal, stdout=terminal, stderr=terminal, env=env, pass_fds=fds[1:])
            return done.returncode
    finally:
        syscalls.close_all(fds)


@contextlib.contextmanager
def _restored(terminal: int) -> Iterator[None]:
    """Have the terminal back as it was, also where the shell that had it was killed."""
    settings, group = termios.tcgetattr(terminal), os.tcgetpgrp(terminal)
    try:
        yield
    finally:
        # Who is not in the foreground gets SIGTTOU for these (tcsetpgrp(3)), and would be stopped.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        try:
            os.tcsetpgrp(terminal, group)
            termios.tcsetattr(terminal, termios.TCSADRAIN, settings)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
