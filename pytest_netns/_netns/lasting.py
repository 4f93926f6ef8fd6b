"""The commands of a namespace that is kept: they go on when its test is over."""

from __future__ import annotations

from .commands import Processes
from .outputs import READ_TIMEOUT, streams_of


class LastingProcesses(Processes):
    """The commands of one namespace, which end with it unless it is kept."""

    _is_kept = False

    def close(self) -> None:
        if self.may_be_there:
            with self._handle.measured("ending programs"):
                super().close()
        else:
            super().close()

    def keep(self) -> None:
        """Start nothing more, and let what runs go on."""
        self._is_kept = True
        with self._lock:
            self._is_closed = True
        if self._starter is not None:
            self.settle()
            self._starter.close(READ_TIMEOUT)
            self._starter = None

    def descriptors(self) -> set[int]:
        return super().descriptors() | set(self.pipes() if self._is_kept else ())

    def pids(self) -> set[int]:
        """Return the pids of the commands."""
        return {command.process.pid for command in self._commands}

    def pipes(self) -> list[int]:
        """Return the descriptors of the pipes to and from the commands, but for those of an event loop."""
        processes = [command.process for command in self._commands if command.let_go is None]
        return [stream.fileno() for process in processes for stream in streams_of(process).values()]

    def leave(self) -> None:
        """Let go of the commands, which somebody else looks after from now on."""
        for command in self._commands:
            self._close_pipes(command)
            command.process.returncode = command.process.returncode or 0  # or it would warn that it still runs
            command.close()
        del self._commands[:]
        if self._through is not None:
            self._through.close()
        self.may_be_there = False
