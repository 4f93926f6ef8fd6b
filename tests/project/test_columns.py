"""What works for whom: one suite, run as root and in the ways that take none, held against the table in the docs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.ordinary_user import UNPRIVILEGED, Start, needs_root, place, start
from tests.support.suites import read_suite

__all__ = ["place", "start"]  # fixtures

pytestmark = pytest.mark.slow

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "rootless.md"
SUITE = read_suite(__file__, "columns")
SUITES = {"namespaces": SUITE, "networks": read_suite(__file__, "columns_of_networks")}
WITHOUT_ADMIN = ["setpriv", "--bounding-set=-sys_admin,-net_admin,-net_raw", "--inh-caps=-all"]
COLUMNS: dict[str, tuple[Sequence[str], str]] = {
    "root": ([], "auto"),
    "ordinary user, `resident`": (UNPRIVILEGED, "resident"),
    "ordinary user, `process`": (UNPRIVILEGED, "process"),
    "root without CAP_SYS_ADMIN, `auto`": (WITHOUT_ADMIN, "auto"),
    "the same, `process`": (WITHOUT_ADMIN, "process"),
}


def column(start: Start, suite: str, count: int, user: Sequence[str], userns: str) -> list[str]:
    """Return for each feature whether it works."""
    outside = str(Path("/proc/self/ns/net").stat().st_ino)
    run = start(suite, "-rA", "--tb=line", f"--netns-userns={userns}", user=user, OUTSIDE=outside)
    out, _ = run.communicate()
    found: dict[int, set[str]] = {}
    for outcome, number in re.findall(r"^(PASSED|FAILED|ERROR) test_suite.py::test_(\d+)", out, re.MULTILINE):
        found.setdefault(int(number), set()).add(outcome)
    assert sorted(found) == list(range(count)), out
    return ["yes" if found[number] == {"PASSED"} else "no" for number in sorted(found)]


@pytest.mark.parametrize("what", SUITES)
@needs_root
def test_the_table_in_the_docs(start: Start, what: str) -> None:
    features = re.findall(r'"""(.*)"""', SUITES[what])
    columns = [column(start, SUITES[what], len(features), *who) for who in COLUMNS.values()]
    rows = [["", *COLUMNS], ["---"] * (len(COLUMNS) + 1), *map(list, zip(features, *columns, strict=True))]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows)
    assert table in PAGE.read_text(), f"the table of today:\n{table}"


@pytest.mark.parametrize("options", [["--bounding-set=-all"], ["--bounding-set=-setfcap,-sys_admin"]])
@needs_root
def test_root_without_setfcap_is_told(start: Start, options: list[str]) -> None:
    """It may not be root in a user namespace (user_namespaces(7), since Linux 5.12)."""
    user = ["setpriv", *options, "--inh-caps=-all"]
    out, _ = start(SUITE, "-k", "test_2", user=user).communicate()
    assert "this machine lacks netns: no CAP_SYS_ADMIN, and no user namespace instead: mapping the user: EPERM" in out
