"""What makes the table of foreign suites: its runs, its verdicts, and the page."""

from __future__ import annotations

import shutil
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.helpers import needs_privilege
from tests.support.suites import read_suite
from trials.foreign import __main__ as foreign
from trials.foreign import table
from trials.foreign.runs import Result, run
from trials.foreign.suites import REPORTING, Environment, Suite, load
from trials.foreign.table import Verdict

pytestmark = pytest.mark.slow

SUITE = read_suite(__file__, "foreign")


class Small(Environment):
    """One that is there already: our own."""

    def __init__(self, suite: Suite, source: Path) -> None:
        self.suite = suite
        self.options = suite.options
        self.bin = Path(sys.executable).parent
        self.source = source

    def make(self) -> None:
        pass


FLAKY = """
    import os

    def test_flaky(request):
        with open("runs", "a") as file:
            file.write("x")
        assert os.path.getsize("runs") != 4  # alone, in parallel, with either scope, and again
"""


@pytest.fixture
def environment(tmp_path: Path) -> Small:
    (tmp_path / "test_suite.py").write_text(textwrap.dedent(SUITE))
    shutil.copy(REPORTING / "foreign_outcomes.py", tmp_path)
    without = {"test_suite.py::test_left_out": "it takes too long"}
    return Small(Suite("small", "1.0", ("test_suite.py",), isolate=("test", "worker"), without=without), tmp_path)


def named(result: dict[str, str]) -> dict[str, str]:
    return {test.rpartition("::")[2]: value for test, value in result.items()}


@needs_privilege
def test_what_became_of_each_test(environment: Small) -> None:
    result = run(environment, ["-p", "no:netns"])
    assert named(result.outcomes) == {
        "test_passes": "passed",
        "test_fails": "failed",
        "test_skipped": "skipped",
        "test_server": "passed",
        "test_late": "failed",
        "test_machine": "passed",
    }
    assert named(result.reasons) == {"test_fails": "call: KeyError: 'why'", "test_late": "teardown: OSError: late"}
    assert not result.trouble


@needs_privilege
def test_what_cannot_be_collected_fails_in_workers_and_stops_a_run_alone(environment: Small) -> None:
    (environment.source / "test_broken.py").write_text("import no_such_module")
    environment.suite = replace(environment.suite, tests=(".",))
    in_workers, alone = run(environment, ["-n1"]), run(environment, [])
    assert "No module named 'no_such_module'" in in_workers.reasons["test_broken.py"]
    assert in_workers.outcomes["test_suite.py::test_passes"] == "passed"
    assert "it ended with 2" in alone.trouble


@needs_privilege
def test_a_run_that_does_not_come_to_its_end_says_so(environment: Small) -> None:
    result = run(environment, ["--no-such-option"])
    assert "it ended with 4" in result.trouble
    assert "--no-such-option" in result.trouble


@needs_privilege
def test_what_passes_alone_only_is_named(environment: Small) -> None:
    verdict = foreign.judge(environment)
    first, second = table.rows(verdict)
    assert "`test` | 1 fail isolated only: `test_suite.py::test_server`" in first
    assert "`worker` | left out: `test_suite.py::test_left_out`, it takes too long" in second
    assert verdict.passes


@needs_privilege
def test_what_passes_at_the_second_try_is_flaky(environment: Small) -> None:
    (environment.source / "test_suite.py").write_text(textwrap.dedent(FLAKY))
    verdict = foreign.judge(environment)
    assert list(table.rows(verdict))[1].endswith(
        "| flaky: `test_suite.py::test_flaky`; left out: `test_suite.py::test_left_out`, it takes too long |"
    )
    assert verdict.passes


def result(**outcomes: str) -> Result:
    return Result(outcomes, {}, 1.0)


def test_what_fails_twice_makes_it_fail() -> None:
    verdict = Verdict(Suite("small", "1.0", ()))
    verdict.results = {"alone": result(a="passed", b="failed"), "-n 4": result(), "test": result(b="failed")}
    assert not verdict.passes
    assert "1 fail isolated only: `a`" in next(table.rows(verdict))


def test_what_fails_in_parallel_without_isolation_is_not_for_isolation_to_answer() -> None:
    verdict = Verdict(Suite("small", "1.0", ()))
    verdict.results = {"alone": result(a="passed"), "-n 4": result(a="failed"), "test": result(a="failed")}
    assert verdict.passes
    assert next(table.rows(verdict)).endswith("| 1 fail by `-n 4`, isolated or not |")


def test_a_suite_of_which_nothing_ran_does_not_pass() -> None:
    verdict = Verdict(Suite("small", "1.0", ()), {"alone": result(), "-n 4": result(), "test": result()})
    assert not verdict.passes


def test_rows_of_suites_that_were_not_run_stay(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{table.BEGIN}{table.END}after\n")
    table.write(page, ["| b 1.0 | x |", "| c 1.0 | x |"])
    table.write(page, ["| a 1.0 | y |", "| b 1.1 | y |"])
    text = page.read_text()
    assert [line for line in text.splitlines() if line.endswith(("x |", "y |"))] == [
        "| a 1.0 | y |",
        "| b 1.1 | y |",
        "| c 1.0 | x |",
    ]
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert text.count(table.HEAD[0]) == 1


def test_a_page_without_a_place_is_refused(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing")
    with pytest.raises(SystemExit, match="has no place for the table"):
        table.write(page, [])


def test_the_page_has_a_place() -> None:
    assert table.BEGIN in foreign.PAGE.read_text()
    assert table.END in foreign.PAGE.read_text()


def test_the_suites_are_described_well() -> None:
    assert len(load()) > 10


def test_a_word_that_means_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match=r"suites\.toml, small: nedes means nothing"):
        Suite.from_toml("small", {"version": "1.0", "tests": ["tests"], "nedes": ["x"]})
