"""A line of the drawing: the lines of the hosts, with an arrow and words on them."""

from __future__ import annotations

from .columns import Columns
from .fates import LOST, STOPPED, UNSEEN
from .messages import Message

LINE, PAUSED, CROSSED = "│", "┊", "┼"
LOST_MARK = "✗"
STUB = 8
"""The shortest arrow to nowhere, where there is room for it."""
HEADS = {1: ("▶", "▷"), -1: ("◀", "◁")}


class Canvas:
    """A line of the drawing."""

    def __init__(self, columns: Columns, line: str = LINE) -> None:
        self._columns = columns
        self._cells = [" "] * columns.width
        for at in columns.at.values():
            if at < columns.width:
                self._cells[at] = line

    def __str__(self) -> str:
        return "".join(self._cells).rstrip()

    def write(self, at: int, text: str) -> None:
        """Write a text over what is there, as far as there is room."""
        room = len(self._cells) - at
        if room <= 0:
            return
        shown = text if len(text) <= room else f"{text[: room - 1]}…"
        self._cells[at : at + len(shown)] = shown

    def arrow(self, message: Message) -> None:
        """Draw a message."""
        begin, end = self._ends(message)
        if begin == end:
            self.write(begin, f"├╴{message.label}")
            return
        step = 1 if end > begin else -1
        tip = self._tip(message, end, step)
        for at in range(begin, tip + step, step):
            self._cells[at] = self._shaft(at, message)
        if message.source in self._columns.at:
            self._cells[begin] = "├" if step > 0 else "┤"
        self._cells[tip] = self._head(message, step)
        self._label(message, begin + step, tip - step, step)

    def _ends(self, message: Message) -> tuple[int, int]:
        """Return where a message begins and where it goes; beside the known end if only one is."""
        at = self._columns.at
        begin, end = at.get(message.source or ""), at.get(message.target or "")
        if begin is None:
            begin = self._beside(end, message)
        return begin, self._beside(begin, message) if end is None else end

    def _beside(self, known: int | None, message: Message) -> int:
        """Return where an arrow begins or ends of which only the other side is known."""
        if known is None:
            return self._columns.first
        wanted, right, left = len(message.label) + 8, self._columns.width - 1 - known, known - self._columns.first
        return known + min(wanted, right) if right >= min(wanted, max(left, STUB)) else known - min(wanted, left)

    def _tip(self, message: Message, end: int, step: int) -> int:
        """Return where the arrow's head is: beside a host, or before it if the frame was lost."""
        if message.fate.kind != LOST:
            return end - step
        last = self._columns.at.get(message.fate.last.namespace)
        if last is None:
            last = self._columns.at.get(message.source or "", end)
        return last + (end - last) * 3 // 4

    def _shaft(self, at: int, message: Message) -> str:
        """Return what the arrow is made of somewhere."""
        host = next((name for name, there in self._columns.at.items() if there == at), None)
        if host is None:
            return "─"
        return CROSSED if host in message.passed or host == message.fate.last.namespace else LINE

    def _head(self, message: Message, step: int) -> str:
        if message.fate.kind in (LOST, STOPPED):
            return LOST_MARK
        return HEADS[step][message.fate.kind == UNSEEN]

    def _label(self, message: Message, begin: int, end: int, step: int) -> None:
        """Write the words into the arrow: between the sender and the next host if they fit, or else anywhere."""
        low, high = min(begin, end), max(begin, end)
        crossed = sorted(at for at in self._columns.at.values() if low <= at <= high)
        near = (low, crossed[0] - 1) if crossed and step > 0 else (crossed[-1] + 1, high) if crossed else (low, high)
        if near[1] - near[0] + 1 >= len(message.label) + 4:
            low, high = near
        room = high - low + 1
        label = message.label
        if len(label) + 2 > room:
            label = label.partition(' "')[0]
        if len(label) + 2 > room:
            label = f"{label[: max(room - 5, 1)]}…"
        self.write(low + (room - len(label) - 2 + (step < 0)) // 2, f" {label} ")
