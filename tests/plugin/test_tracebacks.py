"""What the report of a failed test shows of our frames: nothing of an error that says all, and all of a bug."""

from __future__ import annotations

import pytest

SUITE = """
    def test_it(netns, make_netns):
        {code}
"""
SHORT = {
    "an error of ours": "netns.socket(5000)",
    "a wrong argument": 'netns.socket(child_mode="spwan")',
    "a wrong name": 'make_netns(name="a/b")',
    "a missing program": 'netns.run(["no-such-program"])',
    "a program that fails": 'netns.run(["false"], check=True)',
    "pyroute2": 'netns.ipr.link("del", index=99)',
    "a refused connection": 'netns.create_connection(("127.0.0.1", 1))',
    "the test's own function": "netns.call(lambda: 1 / 0)",
    "the test's own function, in a child": 'netns.call(lambda: 1 / 0, child_mode="fork")',
}


def failure(pytester: pytest.Pytester, code: str, *options: str) -> list[str]:
    pytester.makepyfile(SUITE.format(code=code))
    result = pytester.runpytest_subprocess(*options)
    result.assert_outcomes(failed=1)
    lines = result.outlines
    begin = next(number for number, line in enumerate(lines) if "= FAILURES =" in line)
    end = next(number for number, line in enumerate(lines) if "short test summary info" in line)
    return lines[begin + 1 : end]


@pytest.mark.parametrize("code", SHORT.values(), ids=SHORT.keys())
def test_an_error_that_says_all_shows_the_test_alone(pytester: pytest.Pytester, code: str) -> None:
    lines = failure(pytester, code)
    assert len(lines) <= 30
    assert not [line for line in lines if "pytest_netns/" in line or "subprocess.py" in line], "\n".join(lines)
    assert [line for line in lines if line.startswith(">") and code in line]


def test_full_trace_shows_the_rest(pytester: pytest.Pytester) -> None:
    lines = failure(pytester, 'netns.run(["no-such-program"])', "--full-trace")
    assert [line for line in lines if "pytest_netns/_netns/running.py" in line]
    assert [line for line in lines if "subprocess.py" in line]


@pytest.mark.parametrize("bug", ["None.nothing", "len(3)", "int('x')"])
def test_a_bug_of_ours_shows_where_it_is(pytester: pytest.Pytester, bug: str) -> None:
    pytester.makeconftest(f"""
        from pytest_netns._netns import sockets

        code = "def descriptors(self): return {bug}"
        exec(compile(code, sockets.__file__, "exec"), vars(sockets))
        sockets.Sockets.adopt = lambda self, *args: sockets.descriptors(self)
    """)
    lines = failure(pytester, "netns.socket()")
    assert [line for line in lines if "pytest_netns/_netns/sockets.py" in line]


def test_an_error_of_the_test_itself_is_not_cut(pytester: pytest.Pytester) -> None:
    lines = failure(pytester, "__import__('pathlib').Path('/nothing/here').read_text()")
    assert [line for line in lines if "pathlib" in line and "No such file" not in line]
