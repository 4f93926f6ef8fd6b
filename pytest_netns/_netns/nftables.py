"""Rulesets of nftables, applied by nft(8)."""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Callable
from os import defpath, environ
from typing import Any, Protocol

from .._arguments import check_type
from .._errors import NetNSUnsupportedError, RulesetError, how_it_ended, is_meant

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"  # not in the PATH of each user
POSITION = re.compile(r"^(?:/dev/stdin|-|<stdin>):(\d+):(\d+)(?:-(\d+))?: ", re.MULTILINE)


class Namespace(Protocol):
    """Where a command is run."""

    @property
    def run(self) -> Callable[..., Any]: ...


def program() -> str:
    """Return the path of nft(8).

    :raises NetNSUnsupportedError: there is none.
    """
    found = shutil.which("nft", path=f"{environ.get('PATH', defpath)}:{FOLDERS}")
    if found is None:
        text = "nft(8) is missing, which applies rulesets; install nftables (apt-get install nftables)"
        raise NetNSUnsupportedError(errno.ENOENT, text)
    return found


def apply(ns: Namespace, ruleset: str) -> None:
    """Apply a ruleset in a namespace.

    :raises RulesetError: nft does not take it.
    :raises NetNSUnsupportedError: there is no nft.
    """
    check_type(ruleset, str, "a ruleset is a str, such as 'table inet filter { }'")
    command = [program(), "-f", "-"]
    text = ruleset if ruleset.endswith("\n") else f"{ruleset}\n"  # some statements need it
    done = ns.run(command, input=text, capture_output=True, encoding="utf-8", errors="replace")
    if done.returncode:
        message = _with_lines(done.stderr.strip(), ruleset) or f"it ended {how_it_ended(done.returncode)}"
        raise RulesetError(f"{ns}: nft does not take the ruleset, of which nothing was applied:\n{message}")


def _with_lines(message: str, ruleset: str) -> str:
    """Return what nft says, with the numbers of lines, and with the line where nft itself has not shown one."""
    shown = POSITION.sub(r"line \1, column \2: ", message)
    first = POSITION.search(message)
    lines = ruleset.splitlines()
    if first is None or "^" in message or int(first[1]) > len(lines):
        return shown
    begin, end = int(first[2]), int(first[3] or first[2])
    return f"{shown}\n{lines[int(first[1]) - 1]}\n{' ' * (begin - 1)}{'^' * (end - begin + 1)}"
