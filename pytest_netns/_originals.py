"""The standard library as it was before any test, for what is imported while a test has replaced parts of it."""

from __future__ import annotations

import contextlib
import sys
import threading
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import Any, TypeVar

T = TypeVar("T")

MODULES = (
    *("builtins", "io", "os", "posixpath", "pathlib", "shutil", "tempfile", "fcntl", "time", "random"),
    *("socket", "_socket", "select", "selectors", "ssl", "subprocess", "signal", "threading", "_thread", "queue"),
)
"""Those whose functions and classes tests replace."""
MISSING = object()


class Originals:
    """What the modules of the standard library hold at the time when it is made.

    It costs 0.1 ms to make, since a copy of a dictionary is cheap.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._meta_path = list(sys.meta_path)
        self._path = list(sys.path)
        # All of them, since pyfakefs puts modules of its own there.
        self._modules = {name: module for name, module in list(sys.modules.items()) if _is_of_python(name)}
        self._contents = [(module, vars(module).copy()) for name in MODULES if (module := self._modules.get(name))]

    @contextlib.contextmanager
    def in_place(self) -> Iterator[None]:
        """Put them back for the length of a block, so that what is imported there gets nothing of a test.

        What a test has patched would stay in a module that was imported meanwhile, for the rest of the session.
        """
        with self._lock, contextlib.ExitStack() as undo, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a run where they are errors
            undo.enter_context(_holding(sys.meta_path, self._meta_path))
            undo.enter_context(_holding(sys.path, self._path))
            for name, module in self._modules.items():
                if sys.modules.get(name) is not module:
                    undo.callback(_put, sys.modules, name, sys.modules.get(name, MISSING))
                    sys.modules[name] = module
            for module, contents in self._contents:
                undo.callback(_put_all, vars(module), _replaced(vars(module), contents))
            yield


@contextlib.contextmanager
def _holding(what: list[T], content: list[T]) -> Iterator[None]:
    """Let a list have other content for the length of a block, and then what it had."""
    had = list(what)
    what[:] = content
    try:
        yield
    finally:
        what[:] = had


def _is_of_python(name: str) -> bool:
    return name.partition(".")[0] in sys.stdlib_module_names


def _replaced(current: dict[str, Any], contents: dict[str, Any]) -> dict[str, Any]:
    """Put back the functions, classes and modules that are others now; return those others."""
    others = {
        name: current.get(name, MISSING)
        for name, value in contents.items()
        if current.get(name) is not value and (callable(value) or isinstance(value, ModuleType))
    }
    for name in others:
        current[name] = contents[name]
    return others


def _put_all(where: dict[str, Any], values: dict[str, Any]) -> None:
    for name, value in values.items():
        _put(where, name, value)


def _put(where: dict[str, Any], name: str, value: Any) -> None:
    if value is MISSING:
        del where[name]
    else:
        where[name] = value
