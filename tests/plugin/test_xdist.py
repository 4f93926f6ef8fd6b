"""The fixtures under pytest-xdist."""

from __future__ import annotations

import pytest

from tests.support.suites import read_suite

pytestmark = pytest.mark.slow

pytest.importorskip("xdist")

SUITE = read_suite(__file__, "xdist")


@pytest.mark.parametrize("dist", ["load", "loadscope", "loadfile", "loadgroup", "worksteal", "each"])
def test_every_distribution(pytester: pytest.Pytester, dist: str) -> None:
    pytester.makepyfile(SUITE)
    result = pytester.runpytest_subprocess("-n2", f"--dist={dist}", "-Werror::ResourceWarning")
    result.assert_outcomes(passed=23 if dist != "each" else 46)


def test_modes_of_the_command_line_reach_the_workers(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_x(netns): print(netns.child_mode)")
    result = pytester.runpytest_subprocess("-n2", "--netns-child-mode=fork,mp:spawn", "-v")
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines_random(["*PASSED*test_x?fork?*", "*PASSED*test_x?mp:spawn?*"])


def test_a_worker_that_crashes_takes_its_namespaces_with_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import os, signal
        import pytest

        @pytest.mark.parametrize("number", range(6))
        def test_crash(make_netns, number):
            ns = make_netns(name=f"crash{number}-{os.getppid()}")
            if number == 2:
                os.kill(os.getpid(), signal.SIGKILL)
    """)
    result = pytester.runpytest_subprocess("-n2")
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines(["*worker 'gw?' crashed while running*test_crash?2?*"])
