"""The section ``network`` of a test in which its process dies: it is seen all the same, and nothing is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.report import sections
from tests.support.helpers import eventually, is_running
from tests.support.suites import PLUGINS_BY_NAME, read_suite

pytestmark = pytest.mark.slow

SUITE = read_suite(__file__, "witness_deaths")
# The child may take a fifth of the time-out for a look, and a busy machine needs its time.
PATIENT = ("--netns-child-timeout=300", "-p", "no:cacheprovider")
DEAD = "as it was just after the test process died (its sockets were closed by then):"
NO_PORT = "meanwhile: 1 datagram came to 'netns' for a UDP port to which no socket is bound"
LATE = "as it was at its time-out:"
NOT_ACCEPTED = "why: nobody at 'netns' has accepted the connection to 127.0.0.1:80"
ROUTE = "    route + 198.51.100.0/24 dev lo"
USERNS = pytest.mark.parametrize("userns", ["auto", "process", "resident"])


@pytest.fixture(autouse=True)
def not_in_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # of the run that this test is in
    for variable, value in PLUGINS_BY_NAME.items():
        monkeypatch.setenv(variable, value)


def dies(folder: Path, name: str, *options: str) -> tuple[int, list[str]]:
    """Run a test that dies; return how, and the lines that are written before nobody has its stderr any more."""
    folder.joinpath("test_it.py").write_text(SUITE)
    command = [sys.executable, "-m", "pytest", *PATIENT, *options, f"test_it.py::test_death[{name}]"]
    run = subprocess.run(command, cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, check=False)
    return run.returncode, run.stderr.splitlines()


@USERNS
@pytest.mark.parametrize(("by", "status"), [("kill", -signal.SIGKILL), ("exit", 3)])
def test_a_death_is_told_on_stderr(tmp_path: Path, by: str, status: int, userns: str) -> None:
    code, lines = dies(tmp_path, by, f"--netns-userns={userns}")
    assert code == status
    start = lines.index(f"network of test_it.py::test_death[{by}], {DEAD}")
    assert lines[start + 1] == NO_PORT
    assert ROUTE in lines[start:]
    assert not [line for line in lines[start:] if "OutRsts" in line or "read all that comes" in line]


def test_a_time_limit_by_a_thread_sees_the_sockets(tmp_path: Path) -> None:
    pytest.importorskip("pytest_timeout")
    code, lines = dies(tmp_path, "time_limit", "-p", "timeout", "--timeout=3000", "--timeout-method=thread")
    assert code == 1
    start = lines.index(f"network of test_it.py::test_death[time_limit], {LATE}")
    assert lines[start + 1].startswith(NOT_ACCEPTED)
    assert ROUTE in lines[start:]
    assert not [line for line in lines if DEAD in line]


@USERNS
def test_a_worker_that_dies(pytester: pytest.Pytester, userns: str) -> None:
    pytest.importorskip("xdist")
    options = ("-n2", *PATIENT, "-k", "kill or exit", f"--netns-userns={userns}")
    found = sections.run(pytester, SUITE, *options)
    assert {test: text.splitlines()[:2] for (test, _), (text,) in found.items()} == {
        f"test_death[{by}]": [DEAD, NO_PORT] for by in ("kill", "exit")
    }


def test_a_worker_that_pytest_timeout_ends(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    pytest.importorskip("pytest_timeout")
    options = ("-n1", *PATIENT, "-k", "time_limit", "-p", "timeout", "--timeout=3000", "--timeout-method=thread")
    ((text,),) = sections.run(pytester, SUITE, *options).values()
    late, why, *_ = text.splitlines()
    assert late == LATE
    assert why.startswith(NOT_ACCEPTED)


def test_without_namespaces_nothing_is_told(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    found = sections.run(pytester, "import os\ndef test_it():\n    os._exit(1)", "-n1", *PATIENT)
    assert list(found.values()) == [[]]


CLOSES = """
    import os

    def test_closes():
        os.closerange(3, 100)
        for number in range(50):  # of which one may have the number of what we had open
            os.write(os.open(f"file{number}", os.O_WRONLY | os.O_CREAT), b"kept")

    def test_finds():
        for number in range(50):
            with open(f"file{number}") as file:
                assert file.read() == "kept"
"""


def test_a_test_that_closes_the_descriptors_of_all(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(CLOSES)
    result = pytester.runpytest_subprocess("-s", "-p", "no:faulthandler", "-p", "no:xdist")
    result.assert_outcomes(passed=2)


def test_between_tests_nothing_is_told(tmp_path: Path) -> None:
    tmp_path.joinpath("conftest.py").write_text(
        "import os\n\nimport pytest\n\n\n@pytest.hookimpl(wrapper=True, tryfirst=True)\n"
        "def pytest_runtest_protocol():\n    yield\n    os._exit(9)\n\n\n"
        "@pytest.fixture(scope='session')\ndef lab(netns_factory): return netns_factory('lab')\n"
    )
    tmp_path.joinpath("test_it.py").write_text(
        "def test_it(lab): pass\n\n\ndef test_other(lab): pass"  # for which the namespace stays open
    )
    command = [sys.executable, "-m", "pytest", *PATIENT]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 9
    assert "network of" not in run.stderr


@pytest.mark.parametrize("to", [os.kill, os.killpg], ids=["controller", "group"])
def test_ctrl_c_shows_the_tests_of_workers(tmp_path: Path, to: object) -> None:
    pytest.importorskip("xdist")
    tmp_path.joinpath("test_it.py").write_text(SUITE)
    os.mkfifo(tmp_path / "hangs")
    command = [sys.executable, "-m", "pytest", *PATIENT, "-n1", "-k", "hang"]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as run:
        (tmp_path / "hangs").open().close()  # waits until it is there
        assert callable(to)
        to(run.pid, signal.SIGINT)
        lines = run.communicate()[0].splitlines()
    assert run.returncode == pytest.ExitCode.INTERRUPTED
    (start,) = [number for number, line in enumerate(lines) if "network of test_it.py::test_death[hang] -" in line]
    if lines[start + 1] != DEAD:  # which it is where a busy machine keeps a worker from ending in time
        assert lines[start + 1] == "as it was when the test was interrupted:"
        assert lines[start + 2].startswith(NOT_ACCEPTED)
    assert ROUTE in lines[start:]


ODD = read_suite(__file__, "witness_odd")


def odd(folder: Path, name: str, *options: str) -> tuple[int, str, str]:
    """Run an odd test that dies; return how, and what is on stdout and stderr."""
    folder.joinpath("test_it.py").write_text(ODD)
    command = [sys.executable, "-m", "pytest", *PATIENT, *options, "-k", name, "test_it.py"]
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return run.returncode, run.stdout, run.stderr


@pytest.mark.parametrize("name", ["test_name_that_is_long", "test_name_that_cannot_be_written", "test_replaced"])
def test_an_odd_name_and_an_odd_stderr(tmp_path: Path, name: str) -> None:
    ids = "disable_test_id_escaping_and_forfeit_all_rights_to_community_support"
    code, out, err = odd(tmp_path, name, "-o", f"{ids}=true")
    assert code == 3, out + err
    assert f"network of test_it.py::{name}" in err
    assert DEAD in err
    assert NO_PORT in err
    assert "\0" not in err


def test_the_hosts_of_a_network_are_told_as_others(tmp_path: Path) -> None:
    """What makes them sets a sysctl for itself."""
    _, _, err = odd(tmp_path, "test_pair")
    assert "network of test_it.py::test_pair, " in err
    assert "eth0" in err
    assert "addr_gen_mode" not in err


@pytest.mark.parametrize("name", ["test_has_forked_and_ends", "test_has_forked_and_passes_without_namespaces"])
def test_a_forked_process_keeps_no_controller_waiting(tmp_path: Path, name: str) -> None:
    """It has a copy of what says that more may be written; without care, it is 150 s until the controller goes on."""
    pytest.importorskip("xdist")
    started = time.monotonic()
    try:
        _, out, _ = odd(tmp_path, name, "-n1", "--netns-leaks=ignore")
        assert time.monotonic() - started < 100
        assert "1 passed" in out or (DEAD in out and NO_PORT in out)
    finally:
        os.kill(int((tmp_path / "forked").read_text()), signal.SIGKILL)


def test_a_controller_does_not_wait_for_ever(tmp_path: Path) -> None:
    pytest.importorskip("xdist")
    try:
        _, out, _ = odd(tmp_path, "test_has_forked_and_kills", "-n1", "--netns-child-timeout=4")
        assert "crashed while running" in out
        assert "1 failed" in out
    finally:
        os.kill(int((tmp_path / "forked").read_text()), signal.SIGKILL)


def test_an_interrupt_is_told_once(tmp_path: Path) -> None:
    code, out, err = odd(tmp_path, "test_is_interrupted")
    assert code == pytest.ExitCode.INTERRUPTED
    assert "network of test_it.py::test_is_interrupted" in out
    assert "network of" not in err


def test_a_worker_whose_test_has_closed_the_file(tmp_path: Path) -> None:
    """It ends as an interrupted one does."""
    pytest.importorskip("xdist")
    code, out, _ = odd(tmp_path, "test_closes_the_file", "-n1")
    assert code == pytest.ExitCode.INTERRUPTED, out
    assert "INTERNALERROR" not in out


def test_a_file_that_a_worker_cannot_open(tmp_path: Path) -> None:
    """Its report goes to stderr then."""
    pytest.importorskip("xdist")
    tmp_path.joinpath("conftest.py").write_text(
        "import pytest\n\n\n@pytest.hookimpl(trylast=True)\ndef pytest_configure_node(node):\n"
        "    node.workerinput['netns_witness'] = '/nowhere'\n"
    )
    _, out, err = odd(tmp_path, "test_pair", "-n1")
    assert "1 failed" in out
    assert f"network of test_it.py::test_pair, {DEAD}" in err


@pytest.mark.parametrize("redirect", ["2>&-", "2>/dev/full"])
def test_a_run_without_stderr(tmp_path: Path, redirect: str) -> None:
    tmp_path.joinpath("test_it.py").write_text("def test_it(netns): pass")
    command = ["sh", "-c", f'exec "$@" {redirect}', "sh", sys.executable, "-m", "pytest", *PATIENT]
    command += ["-s", "-p", "no:faulthandler"]  # which takes one
    run = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True, check=False)
    assert run.returncode == 0
    assert "1 passed" in run.stdout


REPLACED = """
import io, sys, pytest
{replace}
pytest.main({options!r})
"""


@pytest.mark.parametrize("replace", ["", "sys.__stderr__ = None"])
def test_a_stderr_that_has_been_replaced_from_the_start(tmp_path: Path, replace: str) -> None:
    tmp_path.joinpath("test_it.py").write_text(ODD)
    program = REPLACED.format(
        replace=f"sys.stderr = io.StringIO(); {replace}",
        options=[*PATIENT, "-k", "test_pair", "-p", "no:faulthandler", "test_it.py"],
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert f"network of test_it.py::test_pair, {DEAD}" in run.stderr


def test_nobody_who_reads_stderr_keeps_namespaces(tmp_path: Path) -> None:
    """The look blocks as it writes, and is killed; what there is, is undone all the same."""
    tmp_path.joinpath("test_it.py").write_text(
        "import os\n\n\ndef test_it(netns):\n    print(netns.popen(['sleep', '1000']).pid, file=open('pid', 'w'))\n"
        "    os._exit(3)\n"
    )
    reading, writing = os.pipe()
    try:
        os.set_blocking(writing, False)
        for size in (1 << 16, 1):
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(writing, bytes(size))
        os.set_blocking(writing, True)
        command = [sys.executable, "-m", "pytest", *PATIENT, "--netns-child-timeout=10"]
        run = subprocess.run(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=writing, text=True, check=False)
        assert run.returncode == 3, run.stdout
        program = int((tmp_path / "pid").read_text())
        eventually(lambda: not is_running(program), "the end of the program in the namespace")
    finally:
        os.close(reading)
        os.close(writing)


def test_a_run_that_passes_says_nothing(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    pytester.makepyfile("def test_it(netns): pass")
    result = pytester.runpytest_subprocess("-n2", *PATIENT)
    result.assert_outcomes(passed=1)
    assert result.outlines[-1].startswith("==")
    assert [line for line in result.outlines if line.startswith("-----") or "network of" in line] == []
