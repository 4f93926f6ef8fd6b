"""What runs in namespaces: how it is asked to end, and ended where it does not heed that."""

from __future__ import annotations

import errno
import itertools
import signal
from collections.abc import Sequence

from .._errors import NetNSError, NetNSLeakError, NetNSOSError, is_meant
from .._handle import Handle
from .._linux import proc, syscalls
from .._multiprocessing_parts import helpers
from .others import Others, named
from .starter import Command, wait

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

TERM_TIMEOUT = 2.0  # seconds between SIGTERM and SIGKILL
KILL_TIMEOUT = 5.0  # seconds for the kernel to end what was killed
FIRST_PAUSE, LAST_PAUSE = 0.001, 0.05  # seconds between two looks at processes
STOP_ROUNDS = 5  # times to stop processes that start others, before all are killed that are known


class Inhabitants:
    """What runs in one namespace: the commands that were started there, what these have started, and what else does.

    :param handle: the namespace.
    :param others: the resident child, which signals what is not a child of this process.
    """

    def __init__(self, handle: Handle, others: Others) -> None:
        self.handle = handle
        self.others = others
        self.commands: list[Command] = []
        self.unseen: NetNSError | None = None
        """Why what is no command could not be looked for, if so."""
        self.kill_at: float | None = None
        """Until when what was asked to end has time for it, as of ``syscalls.monotonic()``."""
        self.strays: list[int] = []

    def end(self) -> None:
        """End all: by SIGTERM, unless that was sent already, and by SIGKILL if it runs when its time is over.

        :raises NetNSError: something does not end.
        """
        if self.kill_at is None and not ask_to_end([self]):
            return
        pause = FIRST_PAUSE
        while self.kill_at is not None and syscalls.monotonic() < self.kill_at:
            commands, others = self._signal(0)
            if not commands and not others:
                return
            wait(commands, min(pause, self.kill_at - syscalls.monotonic()))
            pause = min(2 * pause, LAST_PAUSE)
        self.kill()

    def kill(self) -> None:
        """Kill all, without a word before.

        :raises NetNSError: something does not end.
        """
        deadline = syscalls.monotonic() + KILL_TIMEOUT
        # Stopped before they are killed, so that none starts another between the look and its end.
        number, stopped = signal.SIGSTOP, None
        for turn in itertools.count():
            commands, others = self._signal(number)
            left = {*(command.process.pid for command in commands), *others}
            if not left:
                return
            if syscalls.monotonic() > deadline:
                text = f"{self.handle}: processes do not end, although they were killed: {named(sorted(left))}"
                raise NetNSOSError(errno.EBUSY, text)
            if left == stopped or turn >= STOP_ROUNDS:
                number = signal.SIGKILL
            stopped = left
            syscalls.sleep(FIRST_PAUSE)

    def check_strays(self) -> None:
        """Name what commands have started that has gone to the original namespace, where nothing is signalled.

        :raises NetNSLeakError: there is such a thing.
        """
        running = [pid for pid in self.strays if proc.start_time(pid) is not None]
        if running:
            raise NetNSLeakError(
                f"{self.handle}: a command has started processes in the original namespace, where the plugin ends "
                f"nothing: {named(running)}; end them before the test ends"
            )

    def _signal(self, number: int) -> tuple[list[Command], list[int]]:
        return _signal([self], number)[0]


def ask_to_end(several: Sequence[Inhabitants]) -> bool:
    """Send SIGTERM to what runs in namespaces, all of which has the same time from then on.

    :return: whether there is anything.
    """
    if any(command.is_running() for one in several for command in one.commands):
        _signal(several, 0)  # what they have started is found by its parents as long as these live
    found = _signal(several, signal.SIGTERM)
    asked = [one for one, (commands, others) in zip(several, found, strict=True) if commands or others]
    if asked:
        _signal(asked, signal.SIGCONT)  # one that is stopped would not hear it
        kill_at = syscalls.monotonic() + TERM_TIMEOUT
        for one in asked:
            one.kill_at = kill_at
    return bool(asked)


def _signal(several: Sequence[Inhabitants], number: int) -> list[tuple[list[Command], list[int]]]:
    """Signal all there is; return for each the commands that run, and the pids of what else does.

    The commands come first, since that takes neither a look nor a descriptor nor the help of another process.
    """
    if number:
        for command in itertools.chain.from_iterable(one.commands for one in several):
            command.signal(number)
    running = [[command for command in one.commands if command.is_running()] for one in several]
    pids = [[command.process.pid for command in commands] for commands in running]
    asked = [(one.handle, some) for one, some in zip(several, pids, strict=True)]
    spared = [helper.pid for helper in helpers()]  # named by the leak check, if they are inside
    try:
        found = several[0].others.signal(asked, number, spared)
    except NetNSError as error:
        for one in several:
            one.unseen = error
        return [(commands, []) for commands in running]
    for one, (_, strays) in zip(several, found, strict=True):
        one.strays = strays or one.strays
    return [(commands, others) for commands, (others, _) in zip(running, found, strict=True)]
