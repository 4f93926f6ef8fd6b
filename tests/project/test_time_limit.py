"""A test of this project that hangs ends the run, wherever it hangs."""

from __future__ import annotations

from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
HANGS = {
    "in C, with the interpreter's lock": "while True: ctypes.PyDLL(None).pause()",
    "in a lock": "lock = threading.Lock(); lock.acquire(); lock.acquire()",
    "in a lock, with SIGALRM ignored": (
        "signal.signal(signal.SIGALRM, signal.SIG_IGN); lock = threading.Lock(); lock.acquire(); lock.acquire()"
    ),
    "waiting for a child": 'subprocess.run(["cat"], stdin=os.pipe()[0])',
}


def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, code: str, *options: str) -> pytest.RunResult:
    monkeypatch.setenv("NETNS_TEST_TIME_LIMIT", "1")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(f"import ctypes, os, signal, subprocess, threading\nimport pytest\n{code}")
    return pytester.runpytest_subprocess("-p", "tests.support.time_limit", *options)


@pytest.mark.parametrize("hang", HANGS)
def test_the_stacks_are_shown(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, hang: str) -> None:
    code = f"""
def wait():
    threading.Event().wait()

def test_hang():
    threading.Thread(target=wait, daemon=True).start()
    {HANGS[hang]}
"""
    result = run(pytester, monkeypatch, code)
    assert result.ret == 1
    result.stderr.fnmatch_lines(["Timeout (0:00:01)!", "*.py*, line * in wait", "*.py*, line * in test_hang"])


@pytest.mark.parametrize("step", ["before", "after"])
def test_a_fixture_is_limited_too(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    code = f"""
@pytest.fixture
def hangs():
    if "{step}" == "before": os.read(os.pipe()[0], 1)
    yield
    os.read(os.pipe()[0], 1)

def test_fixture(hangs):
    pass
"""
    result = run(pytester, monkeypatch, code)
    assert result.ret == 1
    result.stderr.fnmatch_lines(["Timeout (0:00:01)!", "*.py*, line * in hangs"])


def test_the_end_of_the_process_is_limited_too(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    code = "def test_thread():\n    threading.Thread(target=threading.Event().wait).start()"
    monkeypatch.delenv("PYTEST_ADDOPTS")  # our plugin says what is left before
    result = run(pytester, monkeypatch, code)
    assert result.ret == 1
    result.stderr.fnmatch_lines(["Timeout (0:00:01)!", "*, line * in wait"])


def test_a_worker_is_replaced_and_its_test_named(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    code = """
@pytest.mark.parametrize("n", [7])
def test_hang(n):
    os.read(os.pipe()[0], 1)
"""
    result = run(pytester, monkeypatch, code, "-n1")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["worker 'gw0' crashed while running '*::test_hang?7?'"])
