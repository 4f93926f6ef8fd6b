"""The table of what came out, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from .runs import Result
from .suites import Suite

ALONE, PARALLEL = "alone", "-n 4"
BEGIN, END = "<!-- made by make foreign -->\n", "<!-- end -->\n"
HEAD = (
    "| suite | alone | `-n 4` | isolated, `-n 4` | option | differences |",
    "| --- | --- | --- | --- | --- | --- |",
)
SHOWN = 5  # tests that are named, of each suite


@dataclass
class Verdict:
    """What came out for a suite.

    :param results: of each way to run it.
    :param flaky: what passed at the second try.
    :param trouble: why it was not run, if so.
    """

    suite: Suite
    results: dict[str, Result] = field(default_factory=dict)
    flaky: set[str] = field(default_factory=set)
    trouble: str = ""

    def lost(self, scope: str) -> list[str]:
        """Return the tests that pass alone, but not isolated."""
        isolated = self.results[scope].outcomes
        alone = self.results[ALONE].outcomes
        return [test for test, outcome in alone.items() if outcome == "passed" and isolated.get(test) != "passed"]

    def failing(self, scope: str) -> list[str]:
        """Return those that isolation has to answer for: they are not flaky, and pass in parallel without it."""
        parallel = self.results[PARALLEL].outcomes
        return [test for test in self.lost(scope) if test not in self.flaky and parallel.get(test) != "failed"]

    @property
    def passes(self) -> bool:
        """Whether what passes alone passes isolated; of what could not be run it cannot be said."""
        if self.trouble:
            return True
        alone = self.results[ALONE]
        return bool(alone.outcomes) and not alone.trouble and not self.failing(self.suite.isolate[-1])


def summary(result: Result) -> str:
    """Say how many passed, and in which time."""
    failed = result.count("failed")
    return f"{result.count('passed')} passed" + (f", {failed} failed" if failed else "") + f" in {result.seconds:.0f} s"


def text(rows: Iterable[str]) -> str:
    """Return the table, with the rows in order."""
    return "".join(f"{line}\n" for line in (*HEAD, *sorted(rows, key=_name)))


def rows(verdict: Verdict) -> Iterator[str]:
    """Yield the rows of a suite."""
    suite = verdict.suite
    if verdict.trouble:
        yield f"| {suite.name} {suite.version} | | | | | not run: {verdict.trouble} |"
        return
    alone, parallel = (summary(verdict.results[name]) for name in (ALONE, PARALLEL))
    for scope in suite.isolate:
        cells = (alone, parallel, summary(verdict.results[scope]), f"`{scope}`", _note(verdict, scope))
        yield f"| {suite.name} {suite.version} | " + " | ".join(cells) + " |"


def _note(verdict: Verdict, scope: str) -> str:
    failing = verdict.failing(scope)
    in_parallel = len(set(verdict.lost(scope)) - set(failing) - verdict.flaky)
    stopped = [name for name in (ALONE, scope) if verdict.results[name].trouble]
    note = [f"did not come to its end: {', '.join(stopped)}"] if stopped else []
    if failing:
        named = ", ".join(f"`{test}`" for test in failing[:SHOWN])
        note.append(f"{len(failing)} fail isolated only: {named}" + (" and others" if len(failing) > SHOWN else ""))
    if in_parallel:
        note.append(f"{in_parallel} fail by `-n 4`, isolated or not")
    if verdict.suite.note:
        note.append(verdict.suite.note)
    if scope == verdict.suite.isolate[-1]:
        note += [f"flaky: `{test}`" for test in sorted(verdict.flaky)]
        note += [f"left out: `{test}`, {why}" for test, why in verdict.suite.without.items()]
    return "; ".join(note)


def write(page: Path, made: list[str]) -> None:
    """Put rows into the table of a page, between its marks; those of suites that were not run stay."""
    before, begin, rest = page.read_text().partition(BEGIN)
    old, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{page} has no place for the table, between {BEGIN.strip()} and {END.strip()}")
    run = {_name(row) for row in made}
    others = [
        line for line in old.splitlines() if line.startswith("| ") and line not in HEAD and _name(line) not in run
    ]
    page.write_text(f"{before}{begin}\n{text([*made, *others])}\n{end}{after}")


def _name(row: str) -> str:
    return row.split()[1]
