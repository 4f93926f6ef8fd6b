"""What the examples share: waiting for a program to be ready, and showing what came of it."""

from __future__ import annotations

import subprocess
import threading


def wait_for_line(process: subprocess.Popen[str], text: str, timeout: float = 30) -> str:
    """Return the first line that contains a text, of those that a program writes to its standard output.

    A server that says when it is ready can be waited for in this way: no pause to choose, and no port to poll.

    :param timeout: in seconds; after that the program is killed.
    :raises AssertionError: the program ended without such a line; the error shows what it said.
    """
    assert process.stdout is not None
    said = []
    watchdog = threading.Timer(timeout, process.kill)  # ends the output, and so the loop
    watchdog.start()
    try:
        for line in process.stdout:
            said.append(line)
            if text in line:
                return line.rstrip()
    finally:
        watchdog.cancel()
        watchdog.join()
    raise AssertionError(f"{process.args!r} ended without a word of {text!r}; it said:\n{''.join(said)}")


def show(*lines: object) -> None:
    """Print what a test has found, for whoever runs it with -s or -rP."""
    print("", *(f"  | {line}" for text in lines for line in str(text).splitlines()), sep="\n")
