"""What a test requires of the machine: it is skipped where that is lacking, or fails, with the doctor's diagnosis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .._errors import is_meant
from .keys import originals_key, settings_key
from .settings import DOCTOR

if TYPE_CHECKING:
    from .._doctor.findings import Doctor

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

doctor_key: pytest.StashKey[Doctor] = pytest.StashKey()
REQUIRES = "netns_requires"
LACKS = "this machine lacks "  # how the reason of a skip for the machine's sake begins


MARKER = (
    "netns_requires(name, ...): skip the test where the machine lacks one of these (veth, netem, nft, ...; "
    "--netns-doctor shows them all), or fail it under --netns-strict."
)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", MARKER)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> int | None:
    form = config.getoption(DOCTOR)
    if form is None:
        return None
    from .._doctor.showing import diagnose

    return diagnose(form, config.getoption("color", "auto"))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    wrong = _wrong_requirements(metafunc.definition)
    if wrong:
        raise pytest.Collector.CollectError(wrong)  # not UsageError, which pytest would show with a traceback


def pytest_itemcollected(item: pytest.Item) -> None:
    wrong = _wrong_requirements(item)
    if wrong:  # a method of unittest.TestCase, which is not generated
        raise pytest.UsageError(wrong)


def _wrong_requirements(item: pytest.Item) -> str:
    """Say what is wrong with the markers of a test; nothing if all is right."""
    for mark in item.iter_markers(REQUIRES):
        from .._doctor.findings import unknown_names

        wrong = unknown_names([*mark.args, *mark.kwargs])
        if wrong:
            return f"{item.nodeid}: @pytest.mark.{REQUIRES}: {wrong}"
    return ""


# Not in a wrapper: a skip there would keep other plugins from setting up what they tear down.
@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    names = [name for mark in item.iter_markers(REQUIRES) for name in mark.args]
    if names:
        require(item.config, names)


def require(config: pytest.Config, names: list[str]) -> None:
    """Skip the test where the machine lacks something, or fail it under --netns-strict."""
    with config.stash[originals_key].in_place():
        from .._doctor.findings import Doctor

    doctor = config.stash.setdefault(doctor_key, Doctor())
    lacking = [str(finding) for finding in doctor.lacking(names)]
    if lacking:
        text = f"{LACKS}{'; '.join(lacking)}"
        if config.stash[settings_key].strict:
            pytest.fail(text, pytrace=False)
        pytest.skip(text)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    counts: dict[str, int] = {}
    for report in terminalreporter.getreports("skipped"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        if reason.startswith(f"Skipped: {LACKS}"):
            counts[reason] = counts.get(reason, 0) + 1
    if counts:
        terminalreporter.section("skipped, as this machine lacks something")
        for reason, count in counts.items():
            terminalreporter.line(f"{count} x {reason.removeprefix('Skipped: ')}")
        terminalreporter.line("--netns-strict lets them fail; --netns-doctor says more")
