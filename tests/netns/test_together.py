"""Namespaces that are closed together have one time for what runs in them, and not each its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest

from pytest_netns import MakeNetNS, MakeTopology, NetNS, NetNSError, Topology
from pytest_netns._netns import inhabitants
from pytest_netns._netns.factory import Session
from pytest_netns._netns.together import Together, ask_to_end
from pytest_netns._plugin.keys import session_key
from tests.support.helpers import PATIENCE, end_resident, is_running
from tests.support.suites import read_suite

pytestmark = pytest.mark.core

COUNT = 3
# Ends once all have been asked to: if they are asked one after the other, the first waits for ever.
SOLIDARY = """
import os, pathlib, signal, sys, time
folder, count = pathlib.Path(sys.argv[1]), int(sys.argv[2])
def asked(number, frame):
    (folder / sys.argv[3]).touch()
    while len(list(folder.iterdir())) < count:
        time.sleep(0.001)
    os._exit(7)  # a second signal may come as the interpreter ends
signal.signal(signal.SIGTERM, asked)
print("ready", flush=True)
while True:
    signal.pause()
"""
STUBBORN = "trap '' TERM; echo ready; while :; do sleep 1000; done"


def start(ns: NetNS, *args: str) -> subprocess.Popen[bytes]:
    """Start a program, and wait until it says that it is ready."""
    process = ns.popen(args, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def start_solidary(ns: NetNS, folder: Path, *, number: int) -> subprocess.Popen[bytes]:
    return start(ns, sys.executable, "-c", SOLIDARY, str(folder), str(COUNT), str(number))


@pytest.fixture
def long_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be killed in a test that passes."""
    monkeypatch.setattr(inhabitants, "TERM_TIMEOUT", PATIENCE)


@pytest.fixture
def session() -> Iterator[Session]:
    made = Session()
    yield made
    made.close()


def make_network(make: MakeTopology) -> Topology:
    return make("sw [switch]\nsw -- {h0 h1 h2}")


WAYS: dict[str, Callable[[Topology], object]] = {"closed": Topology.close, "reset": Topology.reset}


@pytest.mark.usefixtures("long_grace")
@pytest.mark.parametrize("way", WAYS)
def test_the_hosts_of_a_network(netns_topology_factory: MakeTopology, tmp_path: Path, way: str) -> None:
    net = make_network(netns_topology_factory)
    processes = [start_solidary(net[f"h{number}"], tmp_path, number=number) for number in range(COUNT)]
    WAYS[way](net)
    assert [process.returncode for process in processes] == [7] * COUNT


@pytest.mark.usefixtures("long_grace")
def test_a_host_of_a_network_that_was_reset_starts_commands_again(netns_topology_factory: MakeTopology) -> None:
    net = make_network(netns_topology_factory)
    for name in ("h0", "h1"):
        start(net[name], "sh", "-c", "echo ready; exec sleep 1000")
    net.reset()
    assert net["h0"].run(["true"]).returncode == 0
    net.close()


@pytest.mark.usefixtures("long_grace")
def test_the_namespaces_of_a_session(session: Session, tmp_path: Path) -> None:
    spaces = [session.namespace() for _ in range(COUNT)]
    processes = [start_solidary(ns, tmp_path, number=number) for number, ns in enumerate(spaces)]
    session.close_namespaces()
    assert [process.returncode for process in processes] == [7] * COUNT


SUITE = read_suite(__file__, "together")


def test_the_namespaces_of_a_test(pytester: pytest.Pytester) -> None:
    (pytester.path / "solidary.txt").write_text(SOLIDARY)
    pytester.makepyfile(SUITE)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(passed=4)


def test_what_does_not_heed_it_has_the_same_time_everywhere(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inhabitants, "TERM_TIMEOUT", 0.1)
    spaces = [session.namespace() for _ in range(COUNT)]
    daemons = [start(ns, "sh", "-c", f'setsid sh -c "{STUBBORN}" & wait') for ns in spaces]
    ask_to_end(spaces)
    times = {ns._processes._inhabitants.kill_at for ns in spaces}
    assert len(times) == 1
    assert None not in times
    Together(spaces).close()
    assert {ns._processes._inhabitants.kill_at for ns in spaces} == times
    assert all(process.returncode is not None for process in daemons)


class Interrupt(Exception):
    """What a signal handler raises."""


@pytest.mark.parametrize("trouble", [NetNSError("no look"), Interrupt()], ids=["a look that fails", "a signal"])
def test_all_are_closed_also_where_they_cannot_be_asked_together(
    session: Session, tmp_path: Path, trouble: Exception
) -> None:
    spaces = [session.namespace() for _ in range(COUNT)]
    daemon = f'trap "touch {tmp_path}/$$; exit" TERM; echo $$; while :; do sleep 0.01; done'
    script = f"setsid sh -c '{daemon}' & echo ready; exec sleep 1000"
    processes = [ns.popen(["sh", "-c", script], stdout=subprocess.PIPE) for ns in spaces]
    written = [process.stdout.readline() for process in processes for _ in range(2) if process.stdout is not None]
    pids = [int(line) for line in written if line != b"ready\n"]
    signal_ = session.modes.resident.signal

    def fail_together(asked: list[object], *args: object) -> object:
        if len(asked) > 1:
            raise trouble
        return signal_(asked, *args)  # type: ignore[arg-type]

    with mock.patch.object(session.modes.resident, "signal", fail_together):
        with contextlib.suppress(Interrupt):
            Together(spaces).close()
    assert [process.returncode for process in processes] == [-signal.SIGTERM] * COUNT
    assert len(pids) == COUNT
    assert not [pid for pid in pids if is_running(pid)]
    assert {int(path.name) for path in tmp_path.iterdir()} == set(pids)  # each was asked before it was killed
    assert not session._open


def test_one_that_cannot_be_closed_lets_the_others_be_and_is_closed_by_the_next_call(session: Session) -> None:
    spaces = [session.namespace() for _ in range(COUNT)]
    together = Together(spaces)
    spaces[1]._on_close(int, "no number")
    with pytest.raises(ValueError, match="no number"):
        together.close()
    assert list(session._open.values()) == [spaces[1]]
    together.close()
    assert not session._open


def test_a_resident_child_that_was_killed_is_replaced_meanwhile(session: Session) -> None:
    spaces = [session.namespace() for _ in range(COUNT)]
    processes = [start(ns, "sh", "-c", "echo ready; exec sleep 1000") for ns in spaces]
    end_resident(session)
    Together(spaces).close()
    assert [process.returncode for process in processes] == [-signal.SIGTERM] * COUNT


def test_nothing_is_signalled_from_a_process_that_was_forked(session: Session) -> None:
    spaces = [session.namespace() for _ in range(2)]
    processes = [start(ns, "sh", "-c", "echo ready; exec sleep 1000") for ns in spaces]
    pid = os.fork()
    if pid == 0:
        with contextlib.suppress(BaseException):
            Together(spaces).close()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert [process.poll() for process in processes] == [None, None]
    Together(spaces).close()


def test_a_namespace_where_nothing_can_run_is_not_looked_into(
    pytestconfig: pytest.Config, make_netns: MakeNetNS
) -> None:
    spaces = [make_netns(), make_netns()]
    resident = pytestconfig.stash[session_key].modes.resident
    with mock.patch.object(resident, "signal", side_effect=AssertionError("a look")):
        Together(spaces).close()
