"""The files of failed tests in JUnit XML, pytest-html and Allure, on GitHub, and from workers elsewhere."""

from __future__ import annotations

import base64
import html
import json
import re
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import pytest

from pytest_netns._plugin.summary import LIMIT
from tests.support.suites import read_suite

pytestmark = [pytest.mark.slow, pytest.mark.heavy]
CAPTURE = "--netns-capture=failed"
ATTACHMENT = re.compile(r"^\[\[ATTACHMENT\|([^\[\]|]+)\]\]$", re.MULTILINE)  # as GitLab's parser wants it
HTML = ("-p", "html", "-p", "html_fixtures", "-p", "metadata")


def run(pytester: pytest.Pytester, which: str, *options: str, **outcomes: int) -> pytest.RunResult:
    pytester.makepyfile(test_attached=read_suite(__file__, "attachments"))
    result = pytester.runpytest_subprocess(CAPTURE, "-k", which, *options)
    result.assert_outcomes(**outcomes)
    return result


def artifacts(folder: Path, suffix: str) -> list[Path]:
    return sorted(folder.glob(f"netns-artifacts/*/*.{suffix}"))


def cases(pytester: pytest.Pytester) -> list[ElementTree.Element]:
    return list(ElementTree.parse(pytester.path / "report.xml").iter("testcase"))


def attached(case: ElementTree.Element) -> list[str]:
    """Return what a test case of JUnit XML has attached, which is to be in its only system-out."""
    (out,) = case.findall("system-out")
    return ATTACHMENT.findall(out.text or "")


def properties(case: ElementTree.Element) -> dict[str | None, str | None]:
    return {one.get("name"): one.get("value") for one in case.iter("property")}


# JUnit XML


@pytest.mark.parametrize("logging", ["no", "system-out", "log", "system-err", "all"])
def test_junit(pytester: pytest.Pytester, logging: str) -> None:
    result = run(pytester, "test_fails", "--junitxml=report.xml", f"-ojunit_logging={logging}", failed=1)
    (case,) = cases(pytester)
    page, capture = attached(case)
    assert properties(case) == {"netns-page": page, "netns-capture": capture}
    assert [pytester.path / page] == artifacts(pytester.path, "html")
    assert [pytester.path / capture] == artifacts(pytester.path, "pcapng")
    assert "ATTACHMENT" not in result.stdout.str()


def test_junit_of_a_test_that_passes(pytester: pytest.Pytester) -> None:
    run(pytester, "test_passes", "--junitxml=report.xml", passed=1)
    (case,) = cases(pytester)
    assert list(case) == []


@pytest.mark.parametrize("variable", ["CI_PROJECT_DIR", "WORKSPACE"])
def test_paths_are_relative_to_the_project(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, str(pytester.path.parent))
    run(pytester, "test_fails", "--junitxml=report.xml", failed=1)
    (case,) = cases(pytester)
    assert {Path(path).parts[0] for path in attached(case)} == {pytester.path.name}
    assert all((pytester.path.parent / path).exists() for path in attached(case))


def test_each_attempt_has_its_own(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(read_suite(__file__, "attachments_conftest"))
    run(pytester, "test_flaky", "--junitxml=report.xml", passed=1)
    first, second, last = cases(pytester)
    assert [Path(path).name for path in attached(first)] == ["1.html", "1.pcapng"]
    assert [Path(path).name for path in attached(second)] == ["2.html", "2.pcapng"]
    assert properties(first).keys() == properties(second).keys() == {"netns-page", "netns-capture"}
    assert list(last) == []
    assert len(artifacts(pytester.path, "html")) == 2


# pytest-html


def test_links_in_pytest_html(pytester: pytest.Pytester) -> None:
    pytest.importorskip("pytest_html")
    run(pytester, "test_fails", *HTML, "--html=out/report.html", failed=1)
    text = html.unescape(html.unescape((pytester.path / "out/report.html").read_text()))
    found = re.findall(r'href=\\?"(\.\./netns-artifacts/[^"\\]+)\\?"', text)
    paths = {(pytester.path / "out" / unquote(link)).resolve() for link in found}
    assert paths == {*artifacts(pytester.path, "html"), *artifacts(pytester.path, "pcapng")}


def test_a_self_contained_report_has_them_in_itself(pytester: pytest.Pytester) -> None:
    pytest.importorskip("pytest_html")
    run(pytester, "test_fails", *HTML, "--html=report.html", "--self-contained-html", failed=1)
    text = (pytester.path / "report.html").read_text()
    (capture,) = artifacts(pytester.path, "pcapng")
    assert base64.b64encode(capture.read_bytes()).decode() in text
    assert "<iframe" in html.unescape(text)
    assert "What happened" in text
    assert 'href="netns-artifacts' not in html.unescape(text)


# Allure


def test_allure(pytester: pytest.Pytester) -> None:
    pytest.importorskip("allure")
    run(pytester, "test_fails or test_passes", "-p", "allure_pytest", "--alluredir=allure", failed=1, passed=1)
    found = [json.loads(path.read_text()) for path in pytester.path.glob("allure/*-result.json")]
    results = {one["name"].partition("[")[0]: one.get("attachments", []) for one in found}
    assert results["test_passes"] == []
    contents = {one["type"]: pytester.path / "allure" / one["source"] for one in results["test_fails"]}
    assert contents["text/html"].read_bytes() == artifacts(pytester.path, "html")[0].read_bytes()
    capture = artifacts(pytester.path, "pcapng")[0].read_bytes()
    assert contents["application/vnd.tcpdump.pcap"].read_bytes() == capture


def test_what_allure_raises_changes_no_result(pytester: pytest.Pytester) -> None:
    pytest.importorskip("allure")
    pytester.makeconftest(
        """
        import allure

        def pytest_runtest_setup():
            def file(*arguments): raise ValueError("no room")
            allure.attach.file = file
        """
    )
    result = run(pytester, "test_fails", "-p", "allure_pytest", "--alluredir=allure", failed=1)
    result.stdout.fnmatch_lines(["*netns: not attached for Allure: ValueError('no room')"])


# GitHub


@pytest.fixture
def summary(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = pytester.path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(path))
    return path


@pytest.mark.parametrize("options", [(), ("-n2",)])
def test_a_summary_for_github(pytester: pytest.Pytester, summary: Path, options: tuple[str, ...]) -> None:
    if options:
        pytest.importorskip("xdist")
    summary.write_text("what was there\n")
    run(pytester, "test_fails or test_passes", *options, failed=1, passed=1)
    text = summary.read_text()
    assert text.startswith("what was there\n\n### ")
    assert re.findall("<summary>(.*)</summary>", text) == ["<code>test_attached.py::test_fails[a-b]</code>"]
    (diagram,) = re.findall("\n\n```mermaid\n(.*?)\n```\n\n", text, re.DOTALL)
    assert diagram.startswith("sequenceDiagram\n    participant h0 as netns<br/>127.0.0.1\n    Note over h0: ▸ ")
    assert "B #34;x#59;#35;#101;nd#34;" in diagram
    assert all(str(path.relative_to(pytester.path)) in text for path in artifacts(pytester.path, "*"))


@pytest.mark.parametrize("options", [(), ("-n2",)])
def test_a_summary_of_tests_that_run_again(pytester: pytest.Pytester, summary: Path, options: tuple[str, ...]) -> None:
    """One that passes at last is there with its last failure, one that fails at last once."""
    if options:
        pytest.importorskip("xdist")
    pytester.makeconftest(read_suite(__file__, "attachments_conftest"))
    run(pytester, "test_flaky or test_fails or test_passes", *options, passed=2, failed=1)
    text = summary.read_text()
    assert sorted(re.findall("<summary>(.*)</summary>", text)) == [
        "<code>test_attached.py::test_fails[a-b]</code>",
        "<code>test_attached.py::test_flaky</code> failed, and passed in attempt 3",
    ]
    assert text.count("```mermaid") == 2
    assert "/2.html" in text.partition("test_flaky</code>")[2].partition("</details>")[0]


def test_without_failures_it_stays_as_it_is(pytester: pytest.Pytester, summary: Path) -> None:
    run(pytester, "test_passes", passed=1)
    assert not summary.exists()


def test_a_summary_stays_below_the_limit(pytester: pytest.Pytester, summary: Path) -> None:
    summary.write_text("x" * (LIMIT - 1500))
    run(pytester, "test_fails", failed=1)
    text = summary.read_text()
    assert len(text) < LIMIT
    assert text.endswith("1 more: see the reports of these tests.\n")


def test_a_summary_that_cannot_be_written(pytester: pytest.Pytester, summary: Path) -> None:
    summary.mkdir()
    result = run(pytester, "test_fails", failed=1)
    result.stdout.fnmatch_lines(["netns: no summary for GitHub: * Is a directory: *"])


# Workers of pytest-xdist

WATCH = """
    import pytest

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_report_from_serializable(config, data):
        with open("seen", "a") as file:
            file.write(f"{len(data.get('netns_files', {}))} ")
        return (yield)
"""


def test_a_worker_in_the_same_folder_sends_no_files(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    pytester.makeconftest(WATCH)
    run(pytester, "test_fails", "-n1", failed=1)
    assert (pytester.path / "seen").read_text().split() == ["0", "0", "0"]
    assert len(artifacts(pytester.path, "*")) == 2


def elsewhere(pytester: pytest.Pytester, *options: str) -> tuple[Path, pytest.RunResult]:
    """Run a worker in another folder, with the same suite; return the folder."""
    pytest.importorskip("xdist")
    other = pytester.path.with_name(f"{pytester.path.name}-other")
    other.mkdir()
    for folder in (other, pytester.path):
        (folder / "pytest.ini").write_text("[pytest]\n")
    (other / "test_attached.py").write_text(read_suite(__file__, "attachments"))
    return other, run(pytester, "test_fails", "-d", "--tx", f"popen//chdir={other}", *options, failed=1)


def test_files_of_a_worker_with_another_folder_arrive(pytester: pytest.Pytester, summary: Path) -> None:
    other, _ = elsewhere(pytester, "--junitxml=report.xml")
    for suffix in ("html", "pcapng"):
        (sent,) = artifacts(other, suffix)
        (arrived,) = artifacts(pytester.path, suffix)
        assert arrived.read_bytes() == sent.read_bytes()
        assert arrived.relative_to(pytester.path) == sent.relative_to(other)
    (case,) = cases(pytester)
    assert all((pytester.path / path).exists() for path in attached(case))
    assert "```mermaid" in summary.read_text()


def test_files_that_cannot_be_written_at_the_controller(pytester: pytest.Pytester) -> None:
    (pytester.path / "netns-artifacts").write_text("a file")
    _, result = elsewhere(pytester)
    result.stdout.fnmatch_lines(["netns-artifacts/*/1.html stays with the worker: * Not a directory*"])
