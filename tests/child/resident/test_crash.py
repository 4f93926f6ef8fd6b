"""SIGKILL of any process leaves no namespace, name, mount, link, process or file."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pytest_netns._linux import run_netns
from tests.support.helpers import Watch, eventually, is_running, links, named_namespaces, names_mounted
from tests.support.ordinary_user import needs_root
from tests.support.suites import read_suite

pytestmark = pytest.mark.slow

LAB = read_suite(__file__, "crash_lab")


@dataclass
class Lab:
    """A run of pytest in the middle of a test."""

    run: subprocess.Popen[str]
    pytest: int
    resident: int
    pids: list[int]
    paths: list[str]
    names: list[str]

    def __post_init__(self) -> None:
        self.watch = Watch(*self.paths)

    def is_gone(self) -> bool:
        return not (
            any(is_running(pid) for pid in [*self.pids, self.resident])
            or self.watch.there()
            or named_namespaces() & set(self.names)
            or any(name in mount for mount in names_mounted() for name in self.names)
        )


@pytest.fixture
def start_lab(pytester: pytest.Pytester) -> Iterator[Callable[..., Lab]]:
    runs: list[subprocess.Popen[str]] = []
    labs: list[Lab] = []

    def start(*options: str) -> Lab:
        pytester.makepyfile(LAB)
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
        run = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        runs.append(run)
        report = pytester.path / "report.json"
        eventually(lambda: report.exists() or run.poll() is not None, "the lab is up")
        assert report.exists(), run.communicate()[0]
        lab = Lab(run, **json.loads(report.read_text()))
        labs.append(lab)
        assert len(lab.watch.there()) == 20
        assert named_namespaces() >= set(lab.names)
        assert len(lab.names) == 10
        return lab

    yield start
    for run in runs:
        with run:
            run.kill()
    for lab in labs:
        for pid in lab.pids:  # where the test has failed
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if Path(f"/proc/{pid}/cwd").samefile(pytester.path):
                    os.kill(pid, signal.SIGKILL)
        for name in named_namespaces() & set(lab.names):
            run_netns.remove(name, lambda path: True)
        lab.watch.close()


@pytest.mark.smoke
def test_sigkill_of_pytest_leaves_nothing(start_lab: Callable[..., Lab]) -> None:
    before = links()
    lab = start_lab()
    os.kill(lab.pytest, signal.SIGKILL)
    lab.run.wait()
    eventually(lab.is_gone, "nothing is left of a killed pytest")
    assert links() == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_to_the_process_group_leaves_nothing(start_lab: Callable[..., Lab], number: int) -> None:
    lab = start_lab()
    # The resident child is no member of pytest's group, but a job runner may know it and signal it too.
    os.kill(lab.resident, number)
    os.kill(lab.pytest, number)
    eventually(lab.is_gone, f"nothing is left after {number}")


def test_sigkill_of_a_worker_leaves_nothing_and_the_run_goes_on(start_lab: Callable[..., Lab]) -> None:
    lab = start_lab("-n1")
    assert all(name.endswith("-gw0") for name in lab.names)
    os.kill(lab.pytest, signal.SIGKILL)
    eventually(lab.is_gone, "nothing is left of a killed worker")
    out, _ = lab.run.communicate()
    assert "worker 'gw0' crashed" in out
    assert "1 failed, 1 passed" in out


def test_sigkill_of_the_controller_ends_the_workers_and_leaves_nothing(start_lab: Callable[..., Lab]) -> None:
    lab = start_lab("-n1")
    os.kill(lab.run.pid, signal.SIGKILL)
    # A worker sees its connection close, and execnet gives the test that runs in it five seconds.
    eventually(lab.is_gone, "nothing is left of a worker without a controller")


def test_sigkill_of_the_resident_child_is_made_good_at_teardown(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import os, signal
        from pathlib import Path
        from pytest_netns._plugin.keys import session_key

        def test_killed(make_netns, pytestconfig):
            resident = pytestconfig.stash[session_key].modes.resident
            named = make_netns(name=f"crash-{os.getpid()}")
            Path("name").write_text(named.name)
            os.kill(resident.pid, signal.SIGKILL)
            named.socket().close()
            os.kill(resident.pid, signal.SIGKILL)
    """)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)
    assert Path("name").read_text() not in named_namespaces()


@pytest.fixture
def next_start(pytester: pytest.Pytester) -> Callable[..., None]:
    """Run a session that makes a namespace, and so looks for what dead ones have left."""

    def start(*under: str) -> None:
        command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-k", "test_after"]
        pytester.run(*under, *command).assert_outcomes(passed=1, deselected=1)

    return start


@pytest.mark.parametrize("first", ["resident", "pytest"])
def test_what_is_left_when_both_are_killed_is_undone_by_the_next_start(
    start_lab: Callable[..., Lab], next_start: Callable[[], None], first: str
) -> None:
    before = links()
    lab = start_lab()
    for pid in (lab.resident, lab.pytest) if first == "resident" else (lab.pytest, lab.resident):
        os.kill(pid, signal.SIGSTOP)  # so that neither can act on the other's end
    for pid in (lab.resident, lab.pytest):
        os.kill(pid, signal.SIGKILL)
    lab.run.wait()
    eventually(lambda: not is_running(lab.resident), "the resident child is dead")
    # What is left is not looked at here: a run beside this one may be the next start.
    next_start()
    eventually(lab.is_gone, "nothing is left after the next start")
    assert links() == before


@needs_root
@pytest.mark.parametrize("without", ["sys_admin", "sys_ptrace"])
def test_a_start_that_may_not_look_leaves_what_was_left_to_the_next(
    start_lab: Callable[..., Lab], next_start: Callable[..., None], without: str
) -> None:
    """Who sees no process of the dead would take the record away, and nobody would ever know of them."""
    lab = start_lab()
    os.kill(lab.pytest, signal.SIGSTOP)  # so that it does not act on the other's end
    for pid in (lab.resident, lab.pytest):
        os.kill(pid, signal.SIGKILL)
    lab.run.wait()
    eventually(lambda: not is_running(lab.resident), "the resident child is dead")
    next_start("setpriv", f"--bounding-set=-{without}", "--inh-caps=-all")
    next_start()
    eventually(lab.is_gone, "nothing is left after the next start")


def test_the_next_start_leaves_a_live_run_alone(start_lab: Callable[..., Lab], next_start: Callable[[], None]) -> None:
    lab = start_lab()
    next_start()
    os.kill(lab.resident, signal.SIGKILL)  # its record is locked no more, but its owner lives
    eventually(lambda: not is_running(lab.resident), "the resident child is dead")
    next_start()
    assert named_namespaces() >= set(lab.names)
    assert all(is_running(pid) for pid in lab.pids)
    # The next request starts another resident child, which takes the record over.
    os.kill(lab.pytest, signal.SIGKILL)
    lab.run.wait()
    next_start()
    eventually(lab.is_gone, "nothing is left after the next start")
