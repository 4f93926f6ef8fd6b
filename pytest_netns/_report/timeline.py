"""What happens in a test beside its frames: its lines that use the network, and its log records."""

from __future__ import annotations

import linecache
import logging
import sys
from collections import deque
from pathlib import Path
from typing import Any

from .._capture.recorder import now
from .page.contents import LINE, LOG
from .recorded import Happened

EVENTS = (
    *("socket.bind", "socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo"),
    *("subprocess.Popen", "time.sleep"),
)
"""What the interpreter tells of a use of the network, and of what takes time."""
MOST = 500  # of a test, the last ones
DEPTH = 60  # frames between a line of the test and what it does


class Timeline(logging.Handler):
    """Takes note of what happens in a test, in whichever thread.

    :param file: the test's own.
    """

    def __init__(self, file: Path) -> None:
        super().__init__()
        self._file = str(file)
        self._lines: deque[tuple[int, int]] = deque(maxlen=MOST)
        self._records: deque[Happened] = deque(maxlen=MOST)

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Note the line of the test that runs; it must not raise."""
        frame, depth = sys._getframe(1), 0
        while frame.f_code.co_filename != self._file:
            if frame.f_back is None or depth > DEPTH:
                return
            frame, depth = frame.f_back, depth + 1
        if not self._lines or self._lines[-1][1] != frame.f_lineno:
            self._lines.append((now(), frame.f_lineno))

    def emit(self, record: logging.LogRecord) -> None:
        """Note a log record."""
        self._records.append(Happened(now(), LOG, f"{record.levelname} {record.name}: {record.getMessage()}"))

    def happened(self) -> list[Happened]:
        """Return it in the order of time."""
        lines = [
            Happened(time, LINE, f"{number}  {linecache.getline(self._file, number).strip()}")
            for time, number in self._lines
        ]
        return sorted([*lines, *self._records])
