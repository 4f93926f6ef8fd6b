"""The options, on the command line and in the ini file."""

from __future__ import annotations

import pytest

from pytest_netns._child import MODES
from pytest_netns._plugin.settings import Settings

VALID = "resident, fork, mp, mp:fork, mp:forkserver, mp:spawn"

WRONG_MODES = [
    ("frok", f"'frok' is not a child mode; valid are: {VALID}"),
    ("FORK", f"'FORK' is not a child mode; valid are: {VALID}"),
    ("mp:thread", f"'mp:thread' is not a child mode; valid are: {VALID}"),
    ("fork,", f"'' is not a child mode; valid are: {VALID}"),
    ("", f"'' is not a child mode; valid are: {VALID}"),
    ("fork,mp,fork", "the child mode 'fork' is given twice"),
]
WRONG_SECONDS = [
    (text, f"{text!r} is not a number of seconds above 0 and up to 1000000, such as 10 or 0.5")
    for text in ("0", "-1", "nan", "inf", "ten", "10s", "", "1e20", "1000001")
]

WRONG = [("netns_child_mode", *case) for case in WRONG_MODES] + [
    (name, *case) for name in ("netns_child_timeout", "netns_thread_timeout") for case in WRONG_SECONDS
]


def settings(pytester: pytest.Pytester, *args: str) -> Settings:
    return Settings.from_config(pytester.parseconfig(*args))


def option(name: str, value: str) -> str:
    return f"--{name.replace('_', '-')}={value}"


def test_the_defaults(pytester: pytest.Pytester) -> None:
    assert settings(pytester) == Settings(
        child_modes=("resident",), child_timeout=10.0, thread_timeout=5.0, leaks="error"
    )


@pytest.mark.parametrize("mode", MODES)
def test_each_mode_can_be_given(pytester: pytest.Pytester, mode: str) -> None:
    assert settings(pytester, option("netns_child_mode", mode)).child_modes == (mode,)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("netns_child_mode", "fork", {"child_modes": ("fork",)}),
        ("netns_child_mode", " mp:spawn , fork ", {"child_modes": ("mp:spawn", "fork")}),
        ("netns_child_mode", VALID, {"child_modes": MODES}),
        ("netns_child_timeout", "3", {"child_timeout": 3.0}),
        ("netns_child_timeout", "0.25", {"child_timeout": 0.25}),
        ("netns_thread_timeout", "0.25", {"thread_timeout": 0.25}),
        ("netns_leaks", "warn", {"leaks": "warn"}),
        ("netns_userns", "off", {"userns": "off"}),
        ("netns_capture", "failed", {"capture": "failed"}),
        ("netns_artifacts", "evidence", {"artifacts": "evidence"}),
    ],
)
def test_an_option_and_its_ini_twin_are_the_same(
    pytester: pytest.Pytester, name: str, text: str, expected: dict[str, object]
) -> None:
    wanted = settings(pytester)._replace(**expected)  # type: ignore[arg-type]
    assert settings(pytester, option(name, text)) == wanted
    pytester.makeini(f"[pytest]\n{name} = {text}\n")
    assert settings(pytester) == wanted


def test_the_command_line_wins(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nnetns_child_mode = mp\nnetns_child_timeout = 5\n")
    given = settings(pytester, "--netns-child-mode=fork,resident", "--netns-child-timeout=7")
    assert given == Settings(child_modes=("fork", "resident"), child_timeout=7.0, thread_timeout=5.0, leaks="error")


def test_the_command_line_wins_over_an_ini_file_that_is_wrong(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nnetns_child_mode = frok\nnetns_child_timeout = ten\n")
    given = settings(pytester, "--netns-child-mode=fork", "--netns-child-timeout=7")
    assert given == Settings(child_modes=("fork",), child_timeout=7.0, thread_timeout=5.0, leaks="error")


def test_settings_are_frozen(pytester: pytest.Pytester) -> None:
    with pytest.raises(AttributeError):
        settings(pytester).child_timeout = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(("name", "value", "text"), WRONG)
def test_a_wrong_value_on_the_command_line_is_a_usage_error(
    pytester: pytest.Pytester, name: str, value: str, text: str
) -> None:
    result = pytester.runpytest(option(name, value))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.errlines if line] == [f"ERROR: --{name.replace('_', '-')}: {text}"]


@pytest.mark.parametrize(("name", "value", "text"), WRONG)
def test_a_wrong_value_in_the_ini_file_is_a_usage_error(
    pytester: pytest.Pytester, name: str, value: str, text: str
) -> None:
    ini = pytester.makeini(f"[pytest]\n{name} = {value}\n")
    result = pytester.runpytest()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.errlines if line] == [f"ERROR: {name} in {ini}: {text}"]


@pytest.mark.parametrize("where", ["ini", "override"])
def test_a_wrong_truth_value_is_a_usage_error(pytester: pytest.Pytester, where: str) -> None:
    ini = pytester.makeini("[pytest]\n" + "netns_strict = yess\n" * (where == "ini"))
    result = pytester.runpytest(*() if where == "ini" else ("-o", "netns_strict=yess"))
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    place = f"netns_strict in {ini}" if where == "ini" else "-o netns_strict"
    assert [line for line in result.errlines if line] == [
        f"ERROR: {place}: invalid truth value 'yess'; valid are: true, false"
    ]


def test_a_usage_error_is_one_in_a_run_of_its_own(pytester: pytest.Pytester) -> None:
    result = pytester.runpytest_subprocess("--netns-child-mode=frok")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert [line for line in result.errlines if line] == [f"ERROR: --netns-child-mode: {WRONG_MODES[0][1]}"]
    assert result.outlines == []


def test_a_wrong_value_by_override_blames_the_override(pytester: pytest.Pytester) -> None:
    ini = pytester.makeini("[pytest]\nnetns_child_mode = fork\n")
    result = pytester.runpytest("-o", "netns_child_mode=frok")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert str(ini) not in result.stderr.str()


@pytest.mark.parametrize("where", ["command line", "ini"])
def test_the_settings_reach_the_tests(pytester: pytest.Pytester, where: str) -> None:
    given = {"netns_child_mode": "fork,mp:fork", "netns_child_timeout": "7.5"}
    if where == "ini":
        pytester.makeini("[pytest]\n" + "".join(f"{name} = {value}\n" for name, value in given.items()))
    pytester.makepyfile("""
        def test_it(netns, netns_child_mode):
            assert netns.child_mode == netns_child_mode
            assert netns.child_timeout == 7.5
    """)
    args = [option(*item) for item in given.items()] if where == "command line" else []
    result = pytester.runpytest("-v", *args)
    result.assert_outcomes(passed=2)
    result.stdout.fnmatch_lines(["*::test_it[[]fork[]] PASSED*", "*::test_it[[]mp:fork[]] PASSED*"])


def test_help_says_what_there_is(pytester: pytest.Pytester) -> None:
    text = " ".join(pytester.runpytest("--help").stdout.str().split())
    assert f"each test runs once in each: {VALID} (default: resident)" in text
    assert "how long a child may take for one step before it is killed and the test fails (default: 10)" in text
    for name in ("netns_child_mode", "netns_child_timeout", "netns_thread_timeout"):
        assert f"(same as --{name.replace('_', '-')})" in text
