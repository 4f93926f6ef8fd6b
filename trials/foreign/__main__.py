"""Run it: ``python -m trials.foreign``, for all suites, or ``python -m trials.foreign NAME ...``."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from . import table
from .runs import run
from .suites import ROOT, Environment, NotInstalled, Suite, default_cache, load
from .table import Verdict

PAGE = ROOT / "docs" / "explanation" / "foreign-suites.md"
SHOWN = 30  # tests that differ, in the output
# With a wider scope, what shares a namespace is to be in one worker.

TOGETHER = {"class": ("--dist=loadscope",), "module": ("--dist=loadfile",)}


def judge(environment: Environment) -> Verdict:
    """Run a suite without the plugin, with it, and isolated; return what came out."""
    suite = environment.suite
    verdict = Verdict(suite)
    try:
        environment.make()
    except NotInstalled as error:
        verdict.trouble = str(error)
        return verdict
    for name, options in ways(suite):
        verdict.results[name] = result = run(environment, options)
        print(f"{suite.release}, {name}: {table.summary(result)}", flush=True)
        if result.trouble:
            print(result.trouble, flush=True)
    check_again(verdict, environment)
    return verdict


def ways(suite: Suite) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the ways to run a suite, by their names."""
    yield table.ALONE, ("-p", "no:netns")
    yield table.PARALLEL, suite.workers
    for scope in suite.isolate:
        yield scope, isolated(suite, scope)


def isolated(suite: Suite, scope: str) -> tuple[str, ...]:
    return (*suite.workers, *TOGETHER.get(scope, ()), f"--netns-isolate={scope}")


def check_again(verdict: Verdict, environment: Environment) -> None:
    """Run those once more that passed alone and not isolated, and see whether they always fail."""
    scope = verdict.suite.isolate[-1]
    lost = verdict.lost(scope)
    if lost:
        again = run(environment, isolated(verdict.suite, scope), sorted({test.partition("[")[0] for test in lost}))
        verdict.flaky = {test for test in lost if again.outcomes.get(test) == "passed"}
    for test in lost[:SHOWN]:
        failing = "fails isolated only" if test in verdict.failing(scope) else "fails in parallel"
        kind = "flaky" if test in verdict.flaky else failing
        print(f"  {kind}: {test}: {verdict.results[scope].reasons.get(test, 'it did not run'):.300}", flush=True)


def main() -> int:
    suites = load()
    parser = argparse.ArgumentParser(prog="python -m trials.foreign", description=sys.modules["trials.foreign"].__doc__)
    parser.add_argument("suites", nargs="*", choices=[[], *(suite.name for suite in suites)], metavar="NAME")
    parser.add_argument("--cache", type=Path, default=default_cache(), help="what is installed is kept here")
    parser.add_argument("--plugin", type=Path, default=ROOT, help="the project whose plugin is tried")
    parser.add_argument("--write", action="store_true", help=f"write the table into {PAGE.relative_to(ROOT)}")
    options = parser.parse_args()
    verdicts = [
        judge(Environment(suite, options.cache, options.plugin.resolve()))
        for suite in suites
        if not options.suites or suite.name in options.suites
    ]
    rows = [row for verdict in verdicts for row in table.rows(verdict)]
    print(table.text(rows))
    if options.write:
        table.write(PAGE, rows)
    return 0 if all(verdict.passes for verdict in verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
