"""pytest itself in a user namespace, which it enters before anything of the tests is loaded."""

from __future__ import annotations

import os
import pwd
import re
import subprocess
import sys
import textwrap

import pytest

from pytest_netns._linux import proc
from tests.support.ordinary_user import UID, Start, denied, needs_root, place, start
from tests.support.suites import read_suite

__all__ = ["place", "start"]  # fixtures

USER = pwd.getpwuid(UID).pw_name
SUITE = read_suite(__file__, "process_userns")


def passes(run: subprocess.Popen[str], number: int) -> str:
    out, _ = run.communicate()
    # From Python 3.12 on there are warnings: a worker has a second thread, and forks.
    assert re.search(rf" {number} passed(, \d+ warnings?)? in ", out.splitlines()[-1]), out
    return out


@pytest.mark.slow
@pytest.mark.parametrize("workers", [(), ("-n2",), ("-d", "--tx", "popen", "--tx", "2*popen")])
def test_a_suite(start: Start, workers: tuple[str, ...]) -> None:
    out = passes(start(SUITE, "--netns-userns=process", *workers), 12)
    assert "netns: rootless, pytest itself in a user namespace and without a network" in out


@pytest.mark.slow
@needs_root
def test_a_machine_that_has_no_run_netns(start: Start) -> None:
    files = "mkdir /run/lock && touch /run/file && ln -s file /run/link"
    script = f'mount -t tmpfs -o mode=755 none /run && {files} && exec "$@"'
    suite = SUITE + textwrap.dedent("""
        def test_run():
            assert sorted(os.listdir("/run")) == ["file", "link", "lock", "netns"]
            assert os.readlink("/run/link") == "file"
            with pytest.raises(OSError):
                os.mkdir("/run/other")
    """)
    passes(start(suite, "--netns-userns=process", under=("unshare", "-m", "sh", "-c", script, "sh")), 13)


@pytest.mark.slow
def test_without_mounts_only_names_are_missing(start: Start) -> None:
    run = start(SUITE, "--netns-userns=process", under=denied("mount"))
    out, _ = run.communicate()
    assert " 1 failed, 11 passed in" in out.splitlines()[-1], out
    assert "cannot bind the name rootless" in out


@pytest.mark.slow
@pytest.mark.parametrize("isolate", ["test", "worker"])
@pytest.mark.parametrize("workers", [(), ("-n2",)])
def test_auto_picks_it_for_isolation(start: Start, isolate: str, workers: tuple[str, ...]) -> None:
    suite = """
        import os, socket, time, pytest

        @pytest.mark.parametrize("n", range(4))
        def test_port(n):
            assert os.getuid() == 0
            with socket.create_server(("127.0.0.1", 80)):
                time.sleep(0.1)
    """
    passes(start(suite, f"--netns-isolate={isolate}", *workers), 4)


@pytest.mark.slow
def test_auto_leaves_others_outside(start: Start) -> None:
    passes(start("import os\n\ndef test_who(netns):\n    assert os.getuid() != 0", "--netns-isolate=off"), 1)


@pytest.mark.slow
def test_the_marker_says_what_to_do(start: Start) -> None:
    out, _ = start("import pytest\n\n@pytest.mark.netns_isolate\ndef test_it(): pass").communicate()
    assert "1 error" in out.splitlines()[-1]
    assert "--netns-userns=process" in out


def test_threads_bar_it(start: Start) -> None:
    plugin = "import threading; threading.Thread(target=threading.Event().wait, daemon=True).start()"
    out, _ = start(plugin, "-p", "test_suite", "--netns-userns=process").communicate()
    assert "ERROR: cannot enter a user namespace: the process has 2 threads" in out
    assert "unshare -Urn" in out


@pytest.mark.slow
def test_a_remote_worker_cannot_be_reached(start: Start) -> None:
    out, _ = start("", "--netns-userns=process", "--tx", "ssh=nowhere", "-d").communicate()
    assert "ERROR: --netns-userns=process: without root, pytest enters a user namespace, from which no" in out


@pytest.mark.slow
def test_as_root_it_is_entered_where_it_is_asked_for(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(proc.ENTERED, raising=False)
    pytester.makepyfile(f"""
        import os
        def test_it(netns):
            assert os.stat("/proc/self/ns/user").st_ino != {os.stat("/proc/self/ns/user").st_ino}
            with netns.enter():
                pass
    """)
    pytester.runpytest_subprocess("--netns-userns=process").assert_outcomes(passed=1)


@pytest.mark.slow
def test_it_comes_too_late_in_a_process_with_threads_and_says_so(pytester: pytest.Pytester) -> None:
    """As where another program runs pytest.main()."""
    program = (
        "import sys, threading, pytest; threading.Thread(target=threading.Event().wait, daemon=True).start(); "
        "sys.exit(pytest.main(['-p', 'no:cacheprovider', '--netns-userns=process']))"
    )
    env = {name: value for name, value in os.environ.items() if name != proc.ENTERED}
    done = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, text=True, env=env)
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "the process has 2 threads" in done.stderr
    assert "Traceback" not in done.stderr
