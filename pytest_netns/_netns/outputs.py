"""What a command wrote to a pipe that nobody has read, when it is ended."""

from __future__ import annotations

import contextlib
import os
import posix
import shlex
import subprocess
import textwrap
from collections.abc import Iterator
from typing import Any

from .._child.background import Background
from .._errors import how_it_ended

READ_TIMEOUT = 1.0  # seconds for the rest of a pipe, which another thread may be reading
PIPE_LIMIT = 1 << 20  # bytes: what a pipe can hold (pipe(7), /proc/sys/fs/pipe-max-size)
TITLE_LENGTH = 60  # characters of a command in the title of its output
OUTPUT_LIMIT = 1 << 16  # characters of a command's output that are kept: the last ones


def unread(process: subprocess.Popen[Any], where: object) -> Iterator[tuple[str, str]]:
    """Close the pipes of a command; yield a title and a text for each in which something was left.

    :param where: the namespace, for the title.
    """
    for name, stream in streams_of(process).items():
        text = _finish(stream, is_read=name != "stdin")
        if text:
            yield titled(name, process, where, text)


def titled(name: str, process: subprocess.Popen[Any], where: object, text: str) -> tuple[str, str]:
    """Return a title and a text, the last part of a long one, for what a command has written to one of its pipes."""
    how = "still running" if process.returncode is None else f"ended {how_it_ended(process.returncode)}"
    return f"{name} of `{command_line(process.args)}` in {where}, {how},", text[-OUTPUT_LIMIT:]


def streams_of(process: Any) -> dict[str, Any]:
    """Return the pipes of a command that are open, by name."""
    streams = {name: getattr(process, name, None) for name in ("stdin", "stdout", "stderr")}
    return {name: stream for name, stream in streams.items() if stream is not None and not stream.closed}


def command_line(args: Any) -> str:
    """Return a command as a shell would take it, the end of a long one left out."""
    is_one = isinstance(args, (str, bytes, os.PathLike))
    line = os.fsdecode(args) if is_one else shlex.join(map(os.fsdecode, args))
    return textwrap.shorten(line, TITLE_LENGTH, placeholder=" ...")


def _finish(stream: Any, *, is_read: bool) -> str:
    """Close a stream; return what is in its pipe and was not read, as far as that comes without waiting for more.

    A thread does it, which is left behind if it takes too long: another one may be reading, and has the stream locked.
    """
    texts: list[str] = []

    def finish() -> None:
        try:
            if is_read:
                texts.append(_rest_of(stream))
        finally:
            with contextlib.suppress(BrokenPipeError):  # what the command has not read is lost with it
                stream.close()

    finishing = Background(finish)
    try:
        if not finishing.wait(READ_TIMEOUT):
            return "(another thread is reading it)"
        finishing.result()
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: there can be no more threads
        texts.append(f"(the rest of it cannot be read: {error})")
    return "".join(texts)


def _rest_of(stream: Any) -> str:
    """Return what is in a pipe and was not read, without waiting for more."""
    fd = stream.fileno()
    unread = drain(fd)
    # What Python has read ahead comes only by way of the stream, which is to find an end behind the rest.
    ended = posix.memfd_create("rest-of-a-pipe", posix.MFD_CLOEXEC)
    try:
        posix.write(ended, unread)
        posix.lseek(ended, 0, os.SEEK_SET)
        posix.dup2(ended, fd, inheritable=False)
    finally:
        posix.close(ended)
    try:
        rest: Any = stream.read()
    except UnicodeDecodeError as error:
        rest = error.object
    return rest.decode(errors="replace") if isinstance(rest, bytes) else rest


def drain(fd: int) -> bytes:
    """Return what is in a pipe, without waiting for more."""
    posix.set_blocking(fd, False)
    found = b""
    with contextlib.suppress(BlockingIOError):  # somebody has it open for writing who was not to be found
        while len(found) < PIPE_LIMIT and (chunk := posix.read(fd, PIPE_LIMIT)):
            found += chunk
    return found


def ask_for_pipes(kwargs: dict[str, Any], input: Any, *, capture_output: bool) -> None:
    """Add the pipes that these arguments of ``subprocess.run`` ask for.

    :raises ValueError: as ``subprocess.run`` raises it.
    """
    if input is not None:
        if kwargs.get("stdin") is not None:
            raise ValueError("stdin and input arguments may not both be used.")
        kwargs["stdin"] = subprocess.PIPE
    if capture_output:
        if kwargs.get("stdout") is not None or kwargs.get("stderr") is not None:
            raise ValueError("stdout and stderr arguments may not be used with capture_output.")
        kwargs["stdout"] = kwargs["stderr"] = subprocess.PIPE
