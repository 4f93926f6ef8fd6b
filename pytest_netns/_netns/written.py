"""What a program writes when it is ready."""

from __future__ import annotations

import errno
import re
import subprocess
from dataclasses import dataclass
from typing import Any

from .._errors import NetNSLimitError, is_meant
from .readiness import Condition, Start, Watch

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

NAMES = {None: "not given", subprocess.DEVNULL: "subprocess.DEVNULL", subprocess.STDOUT: "subprocess.STDOUT"}


def output(pattern: str | bytes | re.Pattern[str] | re.Pattern[bytes]) -> Condition:
    """Let a program be ready as soon as it has written what a regular expression finds.

    It is seen in the pipe, or file, to which the program writes, and stays there: who reads ``process.stdout`` later
    gets all of it.

    :param pattern: searched for in all that the program has written to its standard output, or its standard error.
        ``^`` and ``$`` stand for the ends of a line, unless the pattern is compiled already. What was written is
        decoded for a pattern of ``str``, by the ``encoding`` given to ``popen`` or UTF-8.
    :return: what :meth:`NetNS.popen` takes for ``ready``. At least one of ``stdout`` and ``stderr`` has to be
        ``subprocess.PIPE`` or a regular file then. A pipe holds up to a megabyte.
    :raises TypeError: it is no pattern.
    :raises ValueError: it is no regular expression.
    """
    if isinstance(pattern, re.Pattern):
        return Output(pattern)
    if not isinstance(pattern, (str, bytes)):
        raise TypeError(f"what a program writes is a regular expression, such as 'ready', not {pattern!r}")
    try:
        return Output(re.compile(pattern, re.MULTILINE))
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error


output.__module__ = "pytest_netns"


@dataclass(frozen=True)
class Output(Condition):
    """What ``output`` returns."""

    pattern: re.Pattern[Any]

    def __str__(self) -> str:
        return f"output that matches {self.pattern.pattern!r}"

    def watch(self, start: Start) -> Watch:
        if not start.streams.pipes and not start.streams.sources:
            given = ", ".join(f"{name} is {_text(start.kwargs.get(name))}" for name in ("stdout", "stderr"))
            raise ValueError(
                f"output({self.pattern.pattern!r}) sees what a program writes to a pipe or to a regular file that may "
                f"be read: give stdout=subprocess.PIPE or stdout=open(...); here {given}"
            )
        return _Watch(self, start)


def _text(target: Any) -> str:
    return NAMES.get(target) or repr(target) if target is None or isinstance(target, int) else repr(target)


class _Watch(Watch):
    def __init__(self, condition: Output, start: Start) -> None:
        self._pattern = condition.pattern
        self._start = start

    @property
    def wakes(self) -> list[int]:
        return [source.wakes for source in self._start.streams.sources.values() if source.wakes is not None]

    def is_ready(self) -> bool:
        return any(self._is_in(source.look()) for source in self._start.streams.sources.values()) or self._is_stuck()

    def _is_in(self, written: bytes) -> bool:
        text = written if isinstance(self._pattern.pattern, bytes) else self._decoded(written)
        return self._pattern.search(text) is not None

    def _decoded(self, written: bytes) -> str:
        return written.decode(self._start.streams.encoding, "replace")

    def _is_stuck(self) -> bool:
        """Raise if the program waits for somebody to read."""
        for name in self._start.streams.full():
            raise NetNSLimitError(
                errno.ENOBUFS,
                f"{name} is a pipe that is full, and nothing in it matches {self._pattern.pattern!r}; let the program "
                f"write to a file, as with {name}=open(...), where it is found too",
            )
        return False
