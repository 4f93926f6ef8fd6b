"""The resident child, as commands need it, and the processes that are not children of this one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from .._handle import Handle
from .._leaks.references import command_of
from .names import Maker


class Others(Maker, Protocol):
    """The resident child, as what signals all that is inside, and makes the mount namespaces that commands join."""

    def signal(
        self, asked: Sequence[tuple[Handle, Sequence[int]]], number: int, spared: Sequence[int]
    ) -> list[tuple[list[int], list[int]]]:
        """Signal what is in namespaces, and what the commands of each have started; return what there is of each."""


def named(pids: list[int]) -> str:
    """Return the pids, and what each is."""
    return ", ".join(f"{pid} ({_command(pid)})" for pid in pids)


def _command(pid: int) -> str:
    try:
        return command_of(pid)
    except (FileNotFoundError, ProcessLookupError):
        return "it has ended just now"
