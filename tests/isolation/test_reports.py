"""What the report of a failed test says about where the test was."""

from __future__ import annotations

import itertools
import socket
from collections import Counter

import pytest

from tests.isolation.test_isolation import run
from tests.support.suites import read_suite


def sections(result: pytest.RunResult) -> list[str]:
    starts = "this test ran", "a new namespace has", "threads "
    return [line for line in result.outlines if line.startswith(starts)] + refusals(result)


def refusals(result: pytest.RunResult) -> list[str]:
    """Return why tests were refused, and what to do about it."""
    return [
        f"{line.removeprefix('why: ')}; {following.strip()}"
        for line, following in itertools.pairwise([*result.outlines, ""])
        if line.startswith("why: this test ran")
    ]


@pytest.mark.slow
def test_each_address_that_was_tried(pytester: pytest.Pytester) -> None:
    suite = read_suite(__file__, "addresses_tried")
    for isolate in ("test", "worker"):
        result = run(pytester, suite, f"--netns-isolate={isolate}")
        result.assert_outcomes(failed=5)
        wanted = [section.partition("can be reached; ")[2] for section in sections(result)]
        assert wanted == [
            "it wanted 192.0.2.1 port 80, 192.0.2.2 port 80",
            "it wanted 192.0.2.6 port 80, 192.0.2.7 port 80, 192.0.2.8 port 80",
            "it wanted 192.0.2.1 port 80",
            "it wanted the name host.example",
            "see above for what it wanted",
        ]


REFUSED = read_suite(__file__, "refused")
NO_MARK = "lambda test: test"


@pytest.mark.slow
@pytest.mark.parametrize("scope", ["class", "module", "package", "session"])
def test_a_fixture_that_listens_outside(pytester: pytest.Pytester, scope: str) -> None:
    wider = "session" if scope == "package" else scope
    pytester.makepyfile(mode=f"SCOPE, mark = {scope!r}, {NO_MARK}")
    result = run(pytester, REFUSED, "--netns-isolate=test")
    result.assert_outcomes(failed=5)
    found = sections(result)
    assert len(found) == 3
    for section in found:
        assert section.startswith(
            "this test ran inside its own network namespace, as given by --netns-isolate=test, and was refused by "
        )
        assert section.endswith(
            f": there the fixture 'server' of {scope} scope listens, outside; let them share a namespace: "
            f"--netns-isolate={wider}, or @pytest.mark.netns_isolate(scope='{wider}')"
        )
    result = run(pytester, REFUSED, f"--netns-isolate={wider}")
    result.assert_outcomes(passed=3, failed=2)
    assert not sections(result)


@pytest.mark.slow
def test_a_fixture_that_another_test_has_set_up_outside(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(mode="import pytest\nSCOPE, mark = 'module', pytest.mark.netns_isolate(scope='module')")
    suite = REFUSED.replace("class TestIt:", "def test_first(server):\n    pass\n\n\nclass TestIt:")
    result = run(pytester, suite)
    result.assert_outcomes(passed=1, failed=5)
    assert [section.partition("; ")[2] for section in sections(result)] == [
        "a test that is not isolated was the first to use it: isolate that, too"
    ] * 3


@pytest.mark.slow
def test_another_process_that_listens_outside(pytester: pytest.Pytester) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        suite = f"""
            def test_it():
                socket.create_connection(("127.0.0.1", {port}))
        """
        result = run(pytester, suite, "--netns-isolate=test")
    result.assert_outcomes(failed=1)
    (section,) = sections(result)
    assert f"was refused by 127.0.0.1 port {port}, on which somebody listens outside; start it inside" in section


GROUPS = read_suite(__file__, "groups")


@pytest.mark.slow
def test_groups_without_a_route(pytester: pytest.Pytester) -> None:
    of_ipv4, of_ipv6, others = 14, 6, 4
    pytester.makeconftest("REMEDY = []")
    result = run(pytester, GROUPS, "--tb=line", "-k", "not test_reached")
    result.assert_outcomes(failed=of_ipv4 + of_ipv6 + others, deselected=of_ipv4 + of_ipv6)
    remedies = [section.rpartition("loopback do: ")[2].split(", ") for section in sections(result)]
    counted = Counter(len(remedy) for remedy in remedies)
    assert counted == {3: of_ipv4, 1: of_ipv6}

    commands = [command.split() for command in dict.fromkeys(itertools.chain(*remedies))]
    pytester.makeconftest(f"REMEDY = {commands!r}")
    result = run(pytester, GROUPS, "-k", "test_reached")
    result.assert_outcomes(passed=of_ipv4 + of_ipv6, deselected=of_ipv4 + of_ipv6 + others)
