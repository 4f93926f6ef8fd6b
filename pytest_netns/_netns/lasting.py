"""The commands of a namespace that is kept: they go on when its test is over."""

from __future__ import annotations

import posix
from collections.abc import Callable

from .._errors import from_errno
from .._handle import Handle
from .._linux import syscalls
from .commands import Processes
from .others import Others
from .outputs import READ_TIMEOUT, streams_of


class LastingProcesses(Processes):
    """The commands of one namespace, which end with it unless it is kept."""

    def __init__(self, handle: Handle, others: Others, on_output: Callable[[str, str], object]) -> None:
        super().__init__(handle, others, on_output)
        self._is_kept = False
        self._copies: list[int] = []  # of the pipes that event loops have, and may close

    def close(self) -> None:
        if self.may_be_there:
            with self._handle.measured("ending programs"):
                super().close()
        else:
            super().close()

    def keep(self) -> None:
        """Start nothing more, and let what runs go on."""
        with self._lock:
            self._is_closed = True
        if self._starter is not None:
            self.settle()
            self._starter.close(READ_TIMEOUT)
            self._starter = None
        if not self._is_kept:
            self._is_kept = True
            self._copy_pipes()

    def _copy_pipes(self) -> None:
        try:
            for command in self._commands:
                for fd in [] if command.pipes is None else command.pipes.descriptors():
                    syscalls.keep(self._copies, posix.dup, fd)
        except OSError as error:
            raise from_errno(error.errno or 0, f"{self._handle}: cannot copy the pipes of a program") from error

    def descriptors(self) -> set[int]:
        return super().descriptors() | set(self.pipes() if self._is_kept else ())

    def pids(self) -> set[int]:
        """Return the pids of the commands."""
        return {command.process.pid for command in self._commands}

    def pipes(self) -> list[int]:
        """Return the descriptors of the pipes to and from the commands."""
        processes = [command.process for command in self._commands if command.pipes is None]
        return [*self._copies, *(stream.fileno() for process in processes for stream in streams_of(process).values())]

    def leave(self) -> None:
        """Let go of the commands, which somebody else looks after from now on."""
        for command in self._commands:
            command.process.returncode = command.process.returncode or 0  # or it would be killed, or warn that it runs
            self._close_pipes(command)
            command.close()
        del self._commands[:]
        syscalls.close_all(self._copies)
        if self._through is not None:
            self._through.close()
        self.may_be_there = False
