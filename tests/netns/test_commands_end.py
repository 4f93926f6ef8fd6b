"""The end of commands: with all that they have started, and what they wrote is not lost."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from pytest_netns import MakeNetNS, NetNS, NetNSOSError
from pytest_netns._netns import inhabitants, outputs
from pytest_netns._plugin.keys import session_key
from tests.netns.test_commands import child_states, has_ended, sh
from tests.support.helpers import is_running, needs_privilege
from tests.support.suites import read_suite

pytestmark = pytest.mark.core


@pytest.fixture
def term_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what does not heed SIGTERM be killed soon."""
    monkeypatch.setattr(inhabitants, "TERM_TIMEOUT", 0.1)


def pids_of(ns: NetNS, script: str, *, count: int) -> list[int]:
    """Start a script that prints ``count`` pids, its own and those of its descendants; return them."""
    process = ns.popen(sh(script), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    return [int(process.stdout.readline()) for _ in range(count)]


DESCENDANTS = {
    "in a session of their own": ("setsid sh -c 'echo $$; exec sleep 1000' & echo $$; wait", 2),
    "in a chain": ("sh -c 'sh -c \"echo \\$\\$; exec sleep 1000\" & echo $$; wait' & echo $$; wait", 3),
    "that ignore SIGTERM": ("sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1000; done' & echo $$; wait", 2),
    "that have a namespace of their own": ("unshare --net sh -c 'echo $$; exec sleep 1000' & echo $$; wait", 2),
    "that have one of their own and ignore SIGTERM": (
        "unshare --net sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1000; done' & echo $$; wait",
        2,
    ),
    "that left their parent": ("(sh -c 'echo $$; exec sleep 1000' &); echo $$; exec sleep 1000", 2),
    "that left a parent that has ended": ("setsid sh -c 'echo $$; exec sleep 1000' & echo $$", 2),
    "that are stopped": ("sh -c 'echo $$; kill -STOP $$; exec sleep 1000' & echo $$; wait", 2),
    "with a zombie": ("sh -c 'echo $$' & echo $$; exec sleep 1000", 2),
}


@pytest.mark.usefixtures("term_timeout")
@pytest.mark.parametrize(
    "which", [pytest.param(name, marks=needs_privilege if "of their own" in name else ()) for name in DESCENDANTS]
)
def test_close_ends_descendants(make_netns: MakeNetNS, which: str) -> None:
    ns = make_netns()
    script, count = DESCENDANTS[which]
    pids = pids_of(ns, script, count=count)
    assert len(set(pids)) == count
    ns.close()
    assert not [pid for pid in pids if is_running(pid)]
    assert "Z" not in child_states()


def test_close_asks_descendants_before_it_kills_them(make_netns: MakeNetNS, tmp_path: Path) -> None:
    ns = make_netns()
    polite = 'trap "touch {file}; exit" TERM; echo $$; while :; do sleep 0.01; done'
    inner = polite.format(file=tmp_path / "inner").replace('"', '\\"').replace("$$", "\\$\\$")
    pids_of(ns, f'sh -c "{inner}" & {polite.format(file=tmp_path / "outer")}', count=2)
    pids_of(ns, f"setsid sh -c '{polite.format(file=tmp_path / 'daemon')}' &", count=1)
    ns.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["daemon", "inner", "outer"]


@pytest.mark.usefixtures("term_timeout")
def test_what_does_not_end_is_named_and_the_rest_is_ended(
    make_netns: MakeNetNS, monkeypatch: pytest.MonkeyPatch
) -> None:
    ns = make_netns("lab")
    stubborn = ns.popen(sh("trap '' TERM; echo ready; while :; do sleep 1000; done"), stdout=subprocess.PIPE)
    other = ns.popen(["sleep", "1000"])
    assert stubborn.stdout is not None
    assert stubborn.stdout.readline() == b"ready\n"
    monkeypatch.setattr(inhabitants, "KILL_TIMEOUT", -1)
    with pytest.raises(NetNSOSError, match=rf"do not end, although they were killed: {stubborn.pid} \(sh -c trap"):
        ns.close()
    assert other.returncode == -signal.SIGTERM
    monkeypatch.undo()
    ns.close()
    assert stubborn.returncode == -signal.SIGKILL
    assert stubborn.stdout.closed


def test_a_fork_while_a_command_is_started_does_not_block_the_child(netns: NetNS) -> None:
    netns.run(["true"])
    with netns._processes._lock:  # as another thread would hold it
        pid = os.fork()
        if pid == 0:
            os._exit(netns.run(["sh", "-c", "exit 7"]).returncode)
    pidfd = os.pidfd_open(pid)
    try:
        assert has_ended(pidfd)
    finally:
        os.kill(pid, signal.SIGKILL)
        os.close(pidfd)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7


OUTPUTS = read_suite(__file__, "commands_end_outputs")


@pytest.mark.slow
@pytest.mark.parametrize("options", [[], ["-n1"]], ids=["alone", "xdist"])
def test_what_was_not_read_is_in_the_report_of_a_failed_test(pytester: pytest.Pytester, options: list[str]) -> None:
    pytester.makepyfile(OUTPUTS)
    result = pytester.runpytest_subprocess(*options)
    result.assert_outcomes(passed=1, failed=4, errors=1)
    said = [
        "*Captured stdout of `sh -c 'echo gave up; exit 3'` in namespace 'netns', ended with exit status 3, teardown*"
    ]
    result.stdout.fnmatch_lines(
        [
            *2
            * ["*Captured stderr of *, ended by signal 15 (Terminated), teardown*", "and an error", *said, "gave up"],
            "*Captured stdout of `sh -c 'echo read; echo unread; exit 4'` in *, ended with exit status 4, teardown*",
            "unread",
        ]
    )
    if not options:  # under pytest-xdist the report of a set-up is sent before the command has ended
        result.stdout.fnmatch_lines(
            ["*ERROR at setup of test_failed_in_setup*", "*exit status 2, teardown*", "no such*"]
        )
    result.stdout.no_fnmatch_line("*nobody wants to know")
    result.stdout.no_fnmatch_line("of a test that passed")


def test_the_output_of_a_passed_test_is_shown_when_it_is_asked_for(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(OUTPUTS)
    result = pytester.runpytest_subprocess("-rP", "-k", "test_passed")
    result.stdout.fnmatch_lines(["*Captured stdout of *exit status 0, teardown*", "of a test that passed"])


@pytest.mark.usefixtures("term_timeout")
@pytest.mark.parametrize("text", [True, False])
def test_what_is_taken_of_a_pipe(make_netns: MakeNetNS, session_outputs: list[tuple[str, str]], text: bool) -> None:
    ns = make_netns()
    full = ns.popen(sh("yes x"), stdout=subprocess.PIPE, text=text)  # blocks as the pipe is full
    bad = ns.popen(["printf", "\\377"], stdout=subprocess.PIPE, text=text)
    bad.wait()
    silent = ns.popen(["true"], stdout=subprocess.PIPE, text=text)
    silent.wait()
    assert full.stdout is not None
    full.stdout.read(2)
    ns.close()
    assert [title.split("`")[1] for title, _ in session_outputs] == ["sh -c 'yes x'", "printf '\\377'"]
    assert set(session_outputs[0][1]) == {"x", "\n"}
    assert len(session_outputs[0][1]) <= outputs.OUTPUT_LIMIT
    assert session_outputs[1][1] == "\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize("text", [True, False])
def test_a_pipe_that_another_holds_open_is_not_waited_for(
    make_netns: MakeNetNS, session_outputs: list[tuple[str, str]], text: bool
) -> None:
    ns = make_netns()
    process = ns.popen(["printf", "one\\ntwo\\n"], stdout=subprocess.PIPE, text=text)
    assert process.stdout is not None
    with open(f"/proc/self/fd/{process.stdout.fileno()}", "wb") as other:  # a writer of which nobody knows
        process.wait()
        assert process.stdout.readline().strip() in ("one", b"one")
        other.write(b"three\n")
        other.flush()
        ns.close()
    assert [text for _, text in session_outputs] == ["two\nthree\n"]


@pytest.fixture
def session_outputs(pytestconfig: pytest.Config, netns_factory: MakeNetNS) -> list[tuple[str, str]]:
    return pytestconfig.stash[session_key].outputs
