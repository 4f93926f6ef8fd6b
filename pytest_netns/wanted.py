"""The address outside that an isolated test wanted to reach, read off the traceback of its failure.

Not noted as the test goes: sys.addaudithook costs each test a few microseconds, since an empty one has twenty events.
"""

from __future__ import annotations

import ast
import errno
import ipaddress
import linecache
import os
import textwrap
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any

WITHOUT_A_WAY = tuple(map(os.strerror, (errno.ENETUNREACH, errno.EHOSTUNREACH)))
WITHOUT_A_NAME = ("Name or service not known", "Temporary failure in name resolution", "No address associated")
CALLS = ("connect", "connect_ex", "sendto", "getaddrinfo", "gethostbyname", "create_connection", "open_connection")


def note(where: str, report: str, error: BaseException) -> str:
    """Return what to add to the report of a failed test: nothing if it did not fail for lack of a network.

    :param where: where it ran.
    :param report: its text.
    :param error: what was raised.
    """
    if not any(reason in report for reason in (*WITHOUT_A_WAY, *WITHOUT_A_NAME)):
        return ""
    found = dict.fromkeys(text for one in _chain_of(error) for text in _wanted_by(one))
    wanted = f"it wanted {', '.join(found)}" if found else "see above for what it wanted"
    return f"this test ran {where}: nothing outside can be reached; {wanted}"


def _chain_of(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all that led to it."""
    seen: dict[int, BaseException] = {}
    left: list[BaseException | None] = [error]
    while left:
        one = left.pop()
        if one is not None and id(one) not in seen:
            seen[id(one)] = one
            yield one
            left += [one.__cause__, one.__context__]
            members = getattr(one, "exceptions", ())
            if isinstance(members, (tuple, list)):  # of a group, or of others that call something so
                left += [member for member in members if isinstance(member, BaseException)]


def _wanted_by(error: BaseException) -> Iterator[str]:
    """Yield what the innermost call to a function of sockets had for an address."""
    if not isinstance(error, OSError):
        return
    for frame, line in reversed(list(_frames(error.__traceback__))):
        for call in _calls(frame, line):
            text = _text([_value(argument, frame) for argument in call.args])
            if text is not None:
                yield text
                return


def _frames(traceback: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    while traceback is not None:
        yield traceback.tb_frame, traceback.tb_lineno
        traceback = traceback.tb_next


def _calls(frame: FrameType, number: int) -> Iterator[ast.Call]:
    """Yield the calls in the statement that begins at a line and is in that line whole, or in one with those below."""
    lines = linecache.getlines(frame.f_code.co_filename, frame.f_globals)
    for end in range(number, min(number + 5, len(lines)) + 1):
        source = textwrap.dedent("".join(lines[number - 1 : end])).strip()
        try:
            # The head of a block is no statement without one.
            tree = ast.parse(f"{source} pass" if source.endswith(":") else source)
        except (SyntaxError, ValueError):  # ValueError: a null byte, before Python 3.12
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) in CALLS:
                yield node
        return


def _value(node: ast.expr, frame: FrameType) -> Any:
    """Return what an argument was, where that can be told without running code."""
    if isinstance(node, ast.Name):
        return frame.f_locals.get(node.id, frame.f_globals.get(node.id))
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
        return getattr(frame.f_locals.get("self"), "__dict__", {}).get(node.attr)
    if isinstance(node, (ast.Tuple, ast.List)):
        return tuple(_value(element, frame) for element in node.elts)
    return node.value if isinstance(node, ast.Constant) else None


def _text(arguments: list[Any]) -> str | None:
    """Say what is the address among the arguments, which is a tuple, or a host and a port by themselves."""
    address = next((value for value in arguments if isinstance(value, tuple) and len(value) >= 2), arguments[:2])
    host, port = (*address, None, None)[:2]
    host = host.decode(errors="replace") if isinstance(host, (bytes, bytearray)) else host
    if not isinstance(host, str) or not host:
        return None
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return f"the name {host}"
    return host if port is None else f"{host} port {port}"
