"""What the interpreter tells of what is done, in the thread that does it and before it is done (PEP 578)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

Listener = Callable[[str, tuple[Any, ...]], None]


class Audit:
    """Passes events on to those that listen, until it is closed.

    A hook cannot be removed, so what is left of it then is one look-up in an empty dictionary for each event.
    """

    def __init__(self) -> None:
        listeners: dict[str, Listener] = {}

        listener_of = listeners.get  # looked up once, since a test may have thousands of events

        def hook(event: str, arguments: tuple[Any, ...]) -> None:
            listener = listener_of(event)
            if listener is not None:
                listener(event, arguments)

        self._listeners = listeners
        sys.addaudithook(hook)

    def listen(self, events: Iterable[str], listener: Listener) -> None:
        """Call a function with each of these events and its arguments; what it raises, the one who does that gets.

        Those who listen to an event are called in the order in which they came.
        """
        for event in events:
            earlier = self._listeners.get(event)
            self._listeners[event] = listener if earlier is None else _both(earlier, listener)

    def close(self) -> None:
        """Tell nobody any more."""
        self._listeners.clear()


def _both(first: Listener, second: Listener) -> Listener:
    def both(event: str, arguments: tuple[Any, ...]) -> None:
        first(event, arguments)
        second(event, arguments)

    return both
