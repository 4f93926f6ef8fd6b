"""What the examples share: a function that waits until a program is ready, and one that shows a result."""

from __future__ import annotations

import subprocess
import threading


def wait_for_line(process: subprocess.Popen[str], text: str, timeout: float = 30) -> str:
    """Read the standard output of a program up to the first line that contains a text, and return that line.

    Many servers print a line when they are ready. To wait for it needs no pause of a guessed length, and no polling.

    :param timeout: in seconds; after that the program is killed.
    :raises AssertionError: the program ended without such a line; the error shows its output.
    """
    assert process.stdout is not None
    output = []
    watchdog = threading.Timer(timeout, process.kill)  # ends the output, and so the loop
    watchdog.start()
    try:
        for line in process.stdout:
            output.append(line)
            if text in line:
                return line.rstrip()
    finally:
        watchdog.cancel()
        watchdog.join()
    raise AssertionError(f"{process.args!r} ended without printing {text!r}; its output:\n{''.join(output)}")


def show(*lines: object) -> None:
    """Print a result of a test; ``pytest -s`` shows it."""
    print("", *(f"  | {line}" for text in lines for line in str(text).splitlines()), sep="\n")
