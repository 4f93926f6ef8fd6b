"""The section ``network`` in the reports of failed tests: in each step, and whatever is broken."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.report import sections
from tests.report.sections import Sections
from tests.support.suites import read_suite

pytestmark = pytest.mark.slow


def first_lines(found: Sections) -> dict[tuple[str, str], str]:
    """Return the first line of each, or nothing of one that has but a drawing of its network."""
    lines = {test: texts[0].splitlines()[0] if texts else "" for test, texts in found.items()}
    return {test: "" if line == "client  host" else line for test, line in lines.items()}


NOT_ACCEPTED = "why: nobody at 'netns' has accepted the connection to 127.0.0.1:{}"
REFUSED = "why: nobody at 'netns' listens on TCP port {} of 127.0.0.1"


@pytest.mark.parametrize("options", [(), ("-n", "2"), ("--netns-userns=resident",)], ids=" ".join)
def test_each_step(pytester: pytest.Pytester, options: tuple[str, ...]) -> None:
    if options[:1] == ("-n",):
        pytest.importorskip("xdist")
    found = first_lines(sections.run(pytester, read_suite(__file__, "evidence_steps"), *options))
    late = found.pop(("test_too_late", "call"))
    assert late.startswith(NOT_ACCEPTED.format(83))
    by_itself = found.pop(("test_that_fails_itself", "teardown"))
    assert by_itself.startswith(NOT_ACCEPTED.format(87))
    assert found == {
        ("test_set_up", "setup"): REFUSED.format(80),
        ("test_call", "call"): REFUSED.format(82),
        ("test_dynamic", "call"): REFUSED.format(88),
        ("test_teardown", "teardown"): REFUSED.format(81),
        ("test_finalizer", "teardown"): REFUSED.format(84),
        ("test_of_its_own", "call"): "",
        ("test_without_namespaces", "call"): "",
    }


UNREADABLE = """
    class Unreadable(OSError):
        def __str__(self):
            raise RuntimeError("cannot be said")

    def test_it(netns):
        raise Unreadable
"""


def test_an_error_that_cannot_be_read_ends_no_run(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(UNREADABLE)
    result = pytester.runpytest_subprocess()
    result.assert_outcomes(failed=1)


EXPECTED = """
    import pytest

    @pytest.mark.xfail(strict=True)
    def test_it(netns):
        netns.create_connection(("127.0.0.1", 80))
"""


@pytest.mark.parametrize(("options", "shown"), [((), 0), (("--xfail-tb",), 1)])
def test_an_expected_failure_has_it_where_it_is_shown(
    pytester: pytest.Pytester, options: tuple[str, ...], shown: int
) -> None:
    pytester.makepyfile(EXPECTED)
    result = pytester.runpytest_subprocess("--netns-capture=failed", *options)
    result.assert_outcomes(xfailed=1)
    assert [line for line in result.outlines if line == REFUSED.format(80)] == [REFUSED.format(80)] * shown
    assert len(list(pytester.path.glob("netns-artifacts/*/1.html"))) == shown


def test_what_another_test_has_counted_is_not_said(pytester: pytest.Pytester) -> None:
    found = sections.run(pytester, read_suite(__file__, "evidence_scopes"))
    lines = first_lines(found)
    one = "why: nobody at 'wide' has a socket bound to UDP port 9 of 127.0.0.1"
    assert lines == {
        ("test_first", "call"): one,
        ("test_third", "call"): "why: the network knows of nothing that stopped a packet",
        ("test_fourth", "call"): one,
    }
    assert "counters IcmpInDestUnreachs +1, IcmpOutDestUnreachs +1, UdpNoPorts +1" in found["test_fourth", "call"][0]


def test_whatever_is_broken_the_result_stands(pytester: pytest.Pytester) -> None:
    found = sections.run(pytester, read_suite(__file__, "evidence_broken"), "-p", "no:xdist", "-p", "fakefs")
    lines = first_lines(found)
    missing = lines.pop(("test_descriptors", "call"))  # the modules for it, or the namespace
    assert "not be looked at: " in missing
    assert "24" in missing
    (stopped,) = found["test_child_stopped", "call"]  # who asks first finds it so, and has another one started
    (unknown,) = [
        line for line in stopped.splitlines() if line.startswith("whether anything listens elsewhere is not known: ")
    ]
    assert "the resident child did not answer within 5 s" in unknown
    names = ("closed", "sockets_left", "files", "clock", "os", "child_killed", "child_stopped", "patched_subprocess")
    assert lines.keys() == {(f"test_{name}", "call") for name in names}
    for line in lines.values():
        assert line.startswith("why: nobody at '")


def test_a_program_that_hangs_and_ctrl_c(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        def test_it(netns):
            listening = netns.create_server(("127.0.0.1", 80))
            client = netns.create_connection(("127.0.0.1", 80))
            client.sendall(b"hello")
            print("it hangs", flush=True)
            client.recv(100)
    """)
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", "-s", "-p", "no:cacheprovider"],
        cwd=pytester.path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        assert process.stdout is not None
        while "it hangs" not in process.stdout.readline():
            assert process.poll() is None
        os.kill(process.pid, signal.SIGINT)
        rest = process.stdout.read()
    assert "- network of test_a_program_that_hangs_and_ctrl_c.py::test_it -" in rest
    assert "why: nobody at 'netns' has accepted the connection to 127.0.0.1:80" in rest
    assert process.returncode == pytest.ExitCode.INTERRUPTED


def test_no_more_than_a_line_where_nothing_is_known(pytester: pytest.Pytester) -> None:
    found = sections.run(pytester, "def test_it(netns):\n    raise TimeoutError")
    assert found["test_it", "call"] == ["why: the network knows of nothing that stopped a packet"]
