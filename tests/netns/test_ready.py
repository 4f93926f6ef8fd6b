"""Programs that are waited for until they are ready."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pytest_netns import (
    MakeNetNS,
    NetNS,
    NetNSTimeoutError,
    ProgramDiedError,
    inherited,
    listening,
    notified,
    output,
)
from pytest_netns._netns import inhabitants
from tests.netns.test_commands import child_states, sh
from tests.netns.test_listening import PATIENCE, SOON, error_of, python
from tests.support.helpers import is_running

pytestmark = pytest.mark.core

PIPES: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}

NOTIFYING = """
import os, socket
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
    sock.connect(os.environ["NOTIFY_SOCKET"].replace("@", "\\0", 1))
    for text in {texts!r}:
        sock.send(text.encode())
    {then}
"""


def notifying(*texts: str, then: str = "input()") -> list[str]:
    return python(NOTIFYING.format(texts=texts, then=then))


# Functions


def test_a_function_is_asked_until_it_returns_something_true(netns: NetNS) -> None:
    answers = [7, 0, None, False]
    process = netns.popen(["sleep", "1000"], ready=answers.pop, ready_timeout=PATIENCE)
    assert (answers, process.poll()) == ([], None)


def test_what_a_function_raises_comes_through_and_the_program_is_ended(netns: NetNS) -> None:
    pids: list[int] = []

    def fail() -> None:
        pids.append(next(command.process.pid for command in netns._processes._commands))
        raise LookupError("what the test raises") from ValueError("and why")

    with pytest.raises(LookupError, match="what the test raises") as info:
        netns.popen(["sleep", "1000"], ready=fail)
    assert isinstance(info.value.__cause__, ValueError)
    assert not is_running(pids[0])
    assert netns._processes._commands == []


def test_of_a_list_all_are_waited_for(netns: NetNS) -> None:
    answers, said = [1, 0, 0], list[int]()

    def say() -> bool:
        said.append(1)
        return len(said) > 2

    script = "echo one; echo two; echo three; exec sleep 1000"
    conditions: Any = (output("one"), answers.pop, say, output("three"))
    netns.popen(sh(script), stdout=subprocess.PIPE, ready=conditions, ready_timeout=PATIENCE)
    assert (answers, said) == ([], [1, 1, 1])


def test_each_of_a_list_is_named_that_is_missing(netns: NetNS) -> None:
    with pytest.raises(NetNSTimeoutError) as info:
        netns.popen(["sleep", "1000"], ready=(lambda: True, notified(), listening(80)), ready_timeout=SOON)
    assert "READY=1 at the socket of $NOTIFY_SOCKET and a socket of its own that listens on tcp port 80" in str(
        info.value
    )


@pytest.mark.parametrize(
    ("ready", "error", "text"),
    [
        ([], ValueError, "ready is empty: leave it out, or say what to wait for, as by listening(80)"),
        (80, TypeError, "or a list of these, not 80"),
        ("ready", TypeError, "or a list of these, not 'ready'"),
        ([listening(80), "ready"], TypeError, "or a list of these, not 'ready'"),
        (listening, TypeError, "ready is what listening returns: call it, as listening(80)"),
        (output, TypeError, "ready is what output returns: call it, as output('ready')"),
        (notified, TypeError, "ready is what notified returns: call it, as notified()"),
    ],
)
def test_what_cannot_be_waited_for_is_an_error_before_anything_starts(
    netns: NetNS, ready: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=re.escape(text)):
        netns.popen(["sleep", "1000"], ready=ready)
    assert netns._processes._commands == []


@pytest.mark.parametrize("timeout", [0, -1, True, "1"])
def test_the_time_limit_is_a_number_of_seconds(netns: NetNS, timeout: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="ready_timeout is a number of seconds above 0"):
        netns.popen(["sleep", "1000"], ready=list, ready_timeout=timeout)


def test_a_program_that_is_not_there_is_the_error_of_subprocess(netns: NetNS) -> None:
    with pytest.raises(FileNotFoundError, match="no-such-command"):
        netns.popen(["no-such-command"], ready=[notified(), inherited()])


# sd_notify


def test_a_program_notifies(netns: NetNS) -> None:
    program = notifying("STATUS=reading", "MAINPID=7\nREADY=1\nSTATUS=serving")
    process = netns.popen(program, stdin=subprocess.PIPE, ready=notified(), ready_timeout=PATIENCE)
    assert process.poll() is None


def test_what_a_program_sends_later_does_not_block_it(netns: NetNS) -> None:
    # Ten datagrams that nobody reads would make the next one wait (/proc/sys/net/unix/max_dgram_qlen).
    then = "input(); address = sock.getpeername(); print([sock.connect_ex(address) for _ in range(100)] == [111] * 100)"
    program = notifying("READY=1", then=then)
    pipe = subprocess.PIPE
    process = netns.popen(program, stdin=pipe, stdout=pipe, text=True, ready=notified(), ready_timeout=PATIENCE)
    assert process.communicate("\n", PATIENCE)[0] == "True\n"


@pytest.mark.parametrize("env", [None, {"A": "b"}, {b"A": b"b"}])
def test_the_environment_of_a_program_is_otherwise_as_given(
    netns: NetNS, monkeypatch: pytest.MonkeyPatch, env: Any
) -> None:
    monkeypatch.setenv("A", "b")
    monkeypatch.setenv("OF_PYTEST", "c")
    monkeypatch.setenv("NOTIFY_SOCKET", "@that-of-pytest-itself")
    program = notifying("READY=1", then="print(os.environ['A'], os.environ.get('OF_PYTEST'))")
    process = netns.popen(program, env=env, stdout=subprocess.PIPE, text=True, ready=notified(), ready_timeout=PATIENCE)
    assert process.communicate()[0] == ("b c\n" if env is None else "b None\n")


def test_what_a_program_sends_instead_is_in_the_error(netns: NetNS) -> None:
    text = r"\$NOTIFY_SOCKET; what it sent there: STATUS=at work"
    error_of(netns, notifying("STATUS=at work"), notified(), text, stdin=subprocess.PIPE)


# A descriptor


@pytest.mark.parametrize(("ready", "name"), [(inherited(), "READY_FD"), (inherited("FD"), "FD")])
def test_a_program_writes_a_newline_to_a_descriptor(netns: NetNS, ready: Any, name: str) -> None:
    script = f"printf 'ready\\n' >&${name}; exec sleep 1000"
    process = netns.popen(["bash", "-c", script], ready=ready, ready_timeout=PATIENCE)
    assert process.poll() is None


def test_a_program_gets_the_other_descriptors_too(netns: NetNS) -> None:
    read, write = os.pipe()
    try:
        script = f"echo given >&{write}; echo >&$READY_FD"
        netns.popen(["bash", "-c", script], pass_fds=[write], ready=inherited(), ready_timeout=PATIENCE)
        assert os.read(read, 100) == b"given\n"
    finally:
        os.close(read)
        os.close(write)


def test_what_is_written_to_a_descriptor_without_a_newline_is_in_the_error(netns: NetNS) -> None:
    script = 'printf re >&$READY_FD; eval "exec $READY_FD>&-"; exec sleep 1000'
    text = r"descriptor of \$READY_FD; what it wrote there: 're', and then it closed it"
    error_of(netns, ["bash", "-c", script], inherited(), text)


@pytest.mark.parametrize(("name", "error"), [(3, TypeError), ("", ValueError), ("A=b", ValueError)])
def test_the_name_of_a_variable_is_checked(name: Any, error: type[Exception]) -> None:
    with pytest.raises(error, match="a variable of the environment has"):
        inherited(name)


# Programs that do not become ready


@pytest.mark.parametrize(
    ("end", "how"),
    [("exit 3", "with exit status 3"), ("kill -9 $$", "by signal 9 (Killed)"), ("exit 0", "with exit status 0")],
)
def test_a_program_that_dies_is_an_error_with_its_output(netns: NetNS, end: str, how: str) -> None:
    with pytest.raises(ProgramDiedError) as info:
        netns.popen(sh(f"echo out; echo err >&2; {end}"), **PIPES, ready=listening(80), ready_timeout=PATIENCE)
    hint = "; if it has gone into the background, give it the option that keeps it in the foreground"
    assert str(info.value) == (
        f"[Errno 10] namespace 'netns': `sh -c 'echo out; echo err >&2; {end}'` ended {how} before it was ready; "
        f"the test waited for a socket of its own that listens on tcp port 80{hint if end == 'exit 0' else ''}\n"
        "its stdout:\nout\nits stderr:\nerr"
    )
    assert isinstance(info.value, ChildProcessError)
    assert netns._processes._commands == []
    assert "Z" not in child_states()


def test_of_much_output_an_error_has_the_last(netns: NetNS) -> None:
    with pytest.raises(ProgramDiedError) as info:
        netns.popen(sh("seq 10000; exit 1"), **PIPES, ready=output("never"), ready_timeout=PATIENCE)
    text = str(info.value)
    assert "\nthe last of its stdout:\n" in text
    assert text.endswith("\n9999\n10000\nits stderr is empty")
    assert len(text) < 5000


def test_output_that_goes_elsewhere_is_said_to_be_missing(netns: NetNS) -> None:
    with pytest.raises(ProgramDiedError, match=r"\nits output is not to be seen here: give stdout=subprocess.PIPE"):
        netns.popen(["false"], ready=listening(80), ready_timeout=PATIENCE)


def test_a_program_that_is_never_ready_is_ended_with_what_it_has_started(
    netns: NetNS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inhabitants, "TERM_TIMEOUT", 0.1)
    stubborn = "trap '' TERM; echo $$; while :; do sleep 1000; done"
    script = f'setsid sh -c "{stubborn.replace("$", chr(92) + "$")}" & {stubborn}'
    asked: list[str] = []

    def has_started() -> bool:
        asked[:] = (tmp_path / "log").read_text().split()
        if len(asked) == 2:
            raise TimeoutError
        return False

    other = netns.popen(["sleep", "1000"])
    with open(tmp_path / "log", "w") as log:
        with pytest.raises(TimeoutError):
            netns.popen(sh(script), stdout=log, ready=has_started, ready_timeout=PATIENCE)
    assert not [pid for pid in asked if is_running(int(pid))]
    assert other.poll() is None
    assert [command.process for command in netns._processes._commands] == [other]


def test_a_program_that_is_stopped_is_ended_in_its_own_way(netns: NetNS) -> None:
    script = "trap 'echo ended; exit' TERM; kill -STOP $$; exec sleep 1000"
    error_of(netns, sh(script), listening(80), r"\nits stdout:\nended$", stdout=subprocess.PIPE)
    assert netns._processes._commands == []


def test_the_output_of_a_program_that_is_not_ready_is_in_the_report(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import subprocess
        from pytest_netns import output

        def test(netns):
            netns.popen(["sh", "-c", "echo gave up; exit 3"], stdout=subprocess.PIPE, ready=output("never"))
        """
    )
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E *ProgramDiedError: *ended with exit status 3 before it was ready*output that matches 'never'*",
            "*Captured stdout of `sh -c 'echo gave up; exit 3'` in namespace 'netns', ended with exit status 3,*",
            "gave up",
        ]
    )


def test_an_interrupt_ends_the_program(netns: NetNS) -> None:
    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
    try:
        with pytest.raises(KeyboardInterrupt):
            netns.popen(["sleep", "1000"], ready=[interrupt, notified(), inherited(), listening(80)])
    finally:
        signal.signal(signal.SIGINT, before)
    assert netns._processes._commands == []


def test_several_threads_wait_at_once(make_netns: MakeNetNS) -> None:
    from concurrent.futures import ThreadPoolExecutor

    ns, ready = make_netns(), output("ready")

    def start(number: int) -> bytes:
        script = f"echo ready {number}; exec sleep 1000"
        process = ns.popen(sh(script), stdout=subprocess.PIPE, ready=ready, ready_timeout=PATIENCE)
        return process.stdout.readline() if process.stdout else b""

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(start, range(8))) == [b"ready %d\n" % number for number in range(8)]


def test_without_a_condition_nothing_is_waited_for(netns: NetNS) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        process = netns.popen(["sleep", "1000"], stdin=sock, ready=None, ready_timeout=SOON)
    assert type(process) is subprocess.Popen
