"""Programs that are ready when they have written something, which stays there to be read."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pytest_netns import NetNS, NetNSLimitError, output
from tests.netns.test_commands import sh
from tests.netns.test_listening import PATIENCE, error_of, python

pytestmark = pytest.mark.core

PIPE, STDOUT, DEVNULL = subprocess.PIPE, subprocess.STDOUT, subprocess.DEVNULL
LINES = "echo one; echo listening on 80; echo three; exec cat"


@pytest.mark.parametrize(
    "pattern",
    ["listening", b"listening", "listening on [0-9]+$", "^listening", re.compile("on 80"), re.compile(b"on 80")],
)
@pytest.mark.parametrize("text", [False, True])
def test_what_was_found_is_still_there_to_be_read(netns: NetNS, pattern: Any, text: bool) -> None:
    process: Any = netns.popen(
        sh(LINES), stdin=PIPE, stdout=PIPE, text=text, ready=output(pattern), ready_timeout=PATIENCE
    )
    told = "one\nlistening on 80\nthree\nfour\n"
    assert process.communicate("four\n" if text else b"four\n") == (told if text else told.encode(), None)
    assert process.returncode == 0


@pytest.mark.parametrize("how", ["read", "readline", "fileno", "communicate"])
def test_it_is_there_however_it_is_read(netns: NetNS, how: str) -> None:
    process: Any = netns.popen(sh("echo ready; echo set; echo err >&2"), stdout=PIPE, stderr=PIPE, ready=output("set"))
    process.wait()
    if how == "communicate":
        assert process.communicate() == (b"ready\nset\n", b"err\n")
    elif how == "fileno":
        assert os.read(process.stdout.fileno(), 100) == b"ready\nset\n"
    else:
        assert getattr(process.stdout, how)() == (b"ready\n" if how == "readline" else b"ready\nset\n")


@pytest.mark.parametrize(
    ("script", "streams"),
    [
        ("echo ready", {"stdout": PIPE}),
        ("echo ready >&2", {"stderr": PIPE}),
        ("echo ready >&2", {"stdout": PIPE, "stderr": PIPE}),
        ("echo ready >&2", {"stdout": PIPE, "stderr": STDOUT}),
        ("echo ready", {"stdout": PIPE, "stderr": DEVNULL}),
    ],
)
def test_both_streams_are_seen(netns: NetNS, script: str, streams: dict[str, Any]) -> None:
    netns.popen(sh(f"{script}; exec sleep 1000"), **streams, ready=output("ready"), ready_timeout=PATIENCE)


def test_a_program_that_writes_and_ends_was_ready(netns: NetNS) -> None:
    process = netns.popen(sh("echo ready; exit 7"), stdout=PIPE, ready=output("ready"), ready_timeout=PATIENCE)
    assert process.wait(PATIENCE) == 7


def test_what_comes_in_pieces_is_put_together(netns: NetNS) -> None:
    script = "for part in re a dy; do printf $part; sleep 0.01; done; exec sleep 1000"
    netns.popen(sh(script), stdout=PIPE, ready=output("^reaDy$|^ready$"), ready_timeout=PATIENCE)


@pytest.mark.parametrize(
    ("encoding", "pattern"), [(None, "gr\u00fcn"), ("latin-1", "gr\u00fcn"), ("utf-16-le", "^gr\u00fcn$")]
)
def test_the_encoding_is_that_of_the_program(netns: NetNS, encoding: str | None, pattern: str) -> None:
    program = (
        f"import os, signal; os.write(1, {chr(39)}gr\u00fcn{chr(39)}.encode({encoding or 'utf-8'!r})); signal.pause()"
    )
    netns.popen(python(program), stdout=PIPE, encoding=encoding, ready=output(pattern), ready_timeout=PATIENCE)


MUCH = (
    "import sys, signal; sys.stdout.write('x' * {count}); sys.stdout.write('ready'); sys.stdout.flush(); signal.pause()"
)


@pytest.mark.parametrize("count", [60_000, 70_000, 500_000, 1_000_000])
def test_what_comes_after_much_else_is_found(netns: NetNS, count: int) -> None:
    process = netns.popen(python(MUCH.format(count=count)), stdout=PIPE, ready=output("ready"), ready_timeout=PATIENCE)
    assert process.stdout is not None
    assert process.stdout.read(count + 5) == b"x" * count + b"ready"


def test_a_pipe_that_is_full_is_an_error_that_says_what_to_do(netns: NetNS) -> None:
    program = python(MUCH.format(count=2_000_000))
    with pytest.raises(NetNSLimitError, match=r"stdout is a pipe that is full, .* with stdout=open\(\.\.\.\)"):
        netns.popen(program, stdout=PIPE, ready=output("ready"), ready_timeout=PATIENCE)
    assert netns._processes._commands == []


def test_a_pipe_that_is_full_is_named_whatever_is_waited_for(netns: NetNS) -> None:
    program = python(MUCH.format(count=2_000_000))
    error_of(netns, program, lambda: False, r"; it waits for its stdout, a full pipe", stdout=PIPE)


@pytest.mark.parametrize(
    ("flags", "earlier"),
    [
        (os.O_TRUNC, "before"),
        (os.O_APPEND, "x" * 9 + "ready, of a run before"),  # its position is 0 until something is written
        (0, "before" * 500_000),  # longer than what the program writes over it
    ],
    ids=["truncated", "appended", "overwritten"],
)
@pytest.mark.parametrize("is_object", [False, True])
def test_a_file_is_seen_from_where_the_program_writes(
    netns: NetNS, tmp_path: Path, flags: int, earlier: str, is_object: bool
) -> None:
    path = tmp_path / "log"
    path.write_text(earlier)
    with open(os.open(path, os.O_WRONLY | flags), "w") as log:
        target = log if is_object else log.fileno()
        program = python(MUCH.format(count=2_000_000))
        netns.popen(program, stdout=target, ready=output("x{9}ready"), ready_timeout=PATIENCE)
    assert "x" * 2_000_000 + "ready" in path.read_text()


def test_of_a_file_an_error_has_what_was_written_now(netns: NetNS, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text("ready of a run before\n")
    with open(path, "a") as log:
        error_of(netns, ["sleep", "1000"], output("ready"), r"\nits stdout is empty$", stdout=log)


@pytest.mark.parametrize(
    ("streams", "text"),
    [
        ({}, "here stdout is not given, stderr is not given"),
        ({"stdout": DEVNULL}, "here stdout is subprocess.DEVNULL, stderr is not given"),
        ({"stderr": STDOUT}, "here stdout is not given, stderr is subprocess.STDOUT"),
        ({"stdout": 1000}, "here stdout is 1000, stderr is not given"),
    ],
)
def test_output_that_cannot_be_seen_is_an_error_at_once(netns: NetNS, streams: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(text)) as info:
        netns.popen(["sleep", "1000"], **streams, ready=output("ready"))
    assert str(info.value).startswith("output('ready') sees what a program writes to a pipe or to a regular file that")
    assert netns._processes._commands == []


def test_output_to_a_socket_is_an_error_at_once(netns: NetNS) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        with pytest.raises(ValueError, match=r"here stdout is <socket\.socket "):
            netns.popen(["sleep", "1000"], stdout=sock, ready=output("ready"))


@pytest.mark.parametrize(
    ("pattern", "error", "text"),
    [
        (80, TypeError, "a regular expression, such as 'ready', not 80"),
        ("(", ValueError, "'(' is no regular expression: missing ), unterminated subpattern at position 0"),
    ],
)
def test_a_pattern_is_checked(pattern: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=re.escape(text)):
        output(pattern)
