"""The marker netns_topology: what is wrong with it is said when its test is collected."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.core


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ('"client --  [mtuu=3] -- server"', "*'mtuu=3' is no setting of a link"),
        ('"a -- b [10.0.0.0/24]\\nb -- c [10.0.0.128/25]"', "*the network 10.0.0.128/25 overlaps with 10.0.0.0/24 *"),
        ('text="a -- a"', "*a link from a to itself"),
        ("", " takes the text of a network, as in *"),
        ('"a -- b", "b -- c"', " takes the text of a network, as in *"),
        ('net="a -- b"', " takes the text of a network, as in *"),
        ("7", "*the text of a network is a str, such as 'client -- server', not 7"),
    ],
)
def test_a_wrong_marker(pytester: pytest.Pytester, arguments: str, said: str) -> None:
    pytester.makepyfile(f"""
        import pytest

        def test_other():
            pass

        @pytest.mark.netns_topology({arguments})
        def test_marked(netns_topology):
            pass
    """)
    result = pytester.runpytest("--collect-only")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*test_a_wrong_marker.py::test_marked: @pytest.mark.netns_topology{said}"])
    result.stdout.no_fnmatch_line("*INTERNALERROR*")


def test_a_wrong_marker_of_one_parameter(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        import pytest

        @pytest.mark.parametrize("number", [1, pytest.param(2, marks=pytest.mark.netns_topology("a --b"))])
        def test_marked(netns_topology, number):
            pass
    """)
    result = pytester.runpytest_subprocess("--collect-only")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "line 1: a --b" in result.stderr.str()


@pytest.mark.netns_topology("a -- b")
class TestClosest:
    @pytest.mark.netns_topology(text="c -- d")
    def test_the_closest_counts(self, netns_topology: object) -> None:
        assert list(netns_topology) == ["c", "d"]  # type: ignore[call-overload]

    def test_that_of_the_class(self, netns_topology: object) -> None:
        assert list(netns_topology) == ["a", "b"]  # type: ignore[call-overload]
