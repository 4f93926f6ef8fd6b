"""Checks of what callers give: each raises an error that says what is wrong with it, and what is valid."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ._errors import is_meant

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

MAX_SECONDS = 1_000_000  # 11 days; poll(2) has an int of milliseconds


def check_timeout(seconds: Any, what: str = "a timeout") -> float:
    """Return a timeout if it is one.

    :raises TypeError: it is no number.
    :raises ValueError: it is out of range.
    """
    text = f"{what} is a number of seconds above 0 and up to {MAX_SECONDS}, not {seconds!r}"
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
        raise TypeError(text)
    if not 0 < seconds <= MAX_SECONDS:
        raise ValueError(text)
    return seconds


def check_keywords(given: Iterable[str], valid: Sequence[str], what: str) -> None:
    """Check that options are among the valid ones.

    :raises TypeError: one is not; the text has the nearest that is valid.
    """
    for name in given:
        if name not in valid:
            from difflib import get_close_matches

            nearest = "".join(f" (did you mean {near!r}?)" for near in get_close_matches(name, valid, 1))
            raise TypeError(f"{what} has no option {name!r}{nearest}; valid are: {', '.join(valid)}")


def check_type(value: Any, kind: type, what: str) -> None:
    """Check that a value is of a type.

    :param what: the name of the value and what it is, to begin the text of the error.
    :raises TypeError: it is not.
    """
    if not isinstance(value, kind):
        raise TypeError(f"{what}, not {value!r}")


def check_callable(value: Any, what: str) -> None:
    """Check that a value can be called.

    :raises TypeError: it cannot.
    """
    if not callable(value):
        raise TypeError(f"{what} is a function or another callable, not {value!r}")


def check_command(args: Any) -> None:
    """Check that a command is one, as far as ``subprocess`` would say nothing that helps.

    :raises TypeError: it is none.
    :raises ValueError: it is empty.
    """
    if isinstance(args, (str, bytes, os.PathLike)):
        return
    if not isinstance(args, Iterable):
        raise TypeError(f"a command is a list such as ['ip', 'link'], or with shell=True a str, not {args!r}")
    if isinstance(args, Sequence) and not args:
        raise ValueError("a command is a list of a program and its arguments, such as ['ip', 'link'], and not empty")


def check_host_and_port(address: Any, what: str) -> tuple[Any, Any]:
    """Return the host and the port of an address.

    :raises TypeError: it has not these two.
    """
    if not isinstance(address, (tuple, list)) or len(address) != 2:
        raise TypeError(f"{what} is a tuple of host and port, such as ('127.0.0.1', 80), not {address!r}")
    host, port = address
    return host, port


def check_mapping(value: Any, what: str, example: Mapping[str, object]) -> None:
    """Check that a value is a mapping.

    :raises TypeError: it is not.
    """
    if not isinstance(value, Mapping):
        raise TypeError(f"{what} is a mapping, such as {example!r}, not {value!r}")
