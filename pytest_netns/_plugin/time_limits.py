"""The section ``network`` of a test that pytest-timeout ends by its method ``thread``, which ends the process.

That method has a timer call a function, which writes the stacks and then ends the process by ``os._exit()``. Here, the
timer is given a function that looks at the network first. Unlike the resident child, which would look after the end, it
finds the sockets of the test.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from .._errors import is_meant
from .evidence import text_of, told_of
from .keys import originals_key, settings_key, witness_key

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


@pytest.hookimpl(wrapper=True, optionalhook=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: Any) -> Iterator[Any]:
    before = threading.enumerate()
    result = yield
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer) and thread not in before and witness_key in item.config.stash:
            thread.function = _first(item, settings, thread.function)
    return result


def _first(item: pytest.Item, settings: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that looks at the network, and then calls the one that ends the process."""

    def look() -> None:
        told = told_of(item, TimeoutError(), None)
        if told is not None and any(told):
            item.config.stash[witness_key].tell(item.nodeid, "as it was at its time-out:", text_of(told))

    def call(*args: Any, **options: Any) -> Any:
        try:
            with item.config.stash[originals_key].in_place():
                from .._child.background import Background

            is_debugging = importlib.import_module("pytest_timeout").is_debugging
            if settings.disable_debugger_detection or not is_debugging():  # else nothing ends
                # Not without a limit: what is imported for it may need a lock that the test holds.
                Background(look).wait(item.config.stash[settings_key].child_timeout / 2)
        finally:
            function(*args, **options)

    return call
