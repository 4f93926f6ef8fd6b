"""The files of a test in the reports that others make: JUnit XML, pytest-html, Allure."""

from __future__ import annotations

import base64
import posix
import posixpath
from collections.abc import Generator, Iterator
from os import environ
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from .._errors import is_meant
from .capture import CAPTURE, PAGE
from .notices import notice

if TYPE_CHECKING:
    from _pytest.junitxml import LogXML

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

TITLES = {PAGE: "network", CAPTURE: "packets"}
"""What a file is called, in the order in which it is named: GitLab shows the first alone."""
MIMES = {PAGE: ("text/html", "html"), CAPTURE: ("application/vnd.tcpdump.pcap", "pcapng")}
PROJECTS = ("CI_PROJECT_DIR", "WORKSPACE")
"""Variables with the folder to which GitLab's paths are relative, and Jenkins's may be."""
SECTIONS = {"log": "Captured log netns", **dict.fromkeys(("system-out", "out-err", "all"), "Captured stdout netns")}
"""The section of a report that becomes a part of system-out, by junit_logging."""
EMBEDDED = 2 << 20
"""Bytes of a file that a self-contained report has in itself, at most."""


def files_of(report: pytest.TestReport) -> list[tuple[str, str]]:
    """Return the files of the attempt that a report is of: what each is, and its path, relative to the rootdir."""
    named = dict(report.user_properties)
    return [(what, str(named[what])) for what in TITLES if what in named]


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Give Allure the files: at the end of a test, which may have had a file system of its own until then."""
    report = yield
    if report.when == "teardown" and item.config.pluginmanager.has_plugin("allure_listener"):
        try:
            _attach_to_allure(item, report)
        except Exception as error:  # what is added to a report is not to change a result
            notice(item.config, f"netns: not attached for Allure: {error!r}", item.nodeid)
    return report


def _attach_to_allure(item: pytest.Item, report: pytest.TestReport) -> None:
    import allure

    attach: Any = allure.attach  # which has no types
    for what, path in files_of(report):
        mime, extension = MIMES[what]
        attach.file(str(item.config.rootpath / path), TITLES[what], mime, extension)


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Reports(config), "netns_attachments_reports")


class Reports:
    """Adds the files to what is made of reports, where all of them arrive."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._shown: set[str] = set()

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> Iterator[None]:
        sections = report.sections
        files = files_of(report)
        for add in (self._add_to_html, self._add_to_junit) if files else ():
            try:
                add(report, files)
            except Exception as error:  # what is added to a report is not to change a result
                notice(self._config, f"netns: not attached: {error!r}", report.nodeid)
        try:
            return (yield)
        finally:
            report.sections = sections

    # JUnit XML

    def _add_to_junit(self, report: pytest.TestReport, files: list[tuple[str, str]]) -> None:
        from _pytest.junitxml import xml_key

        xml: LogXML | None = self._config.stash.get(xml_key, None)
        if xml is None:
            return
        text = "\n".join(f"[[ATTACHMENT|{self._in_project(path)}]]" for _, path in files)
        if xml.logging in SECTIONS:  # there is to be one system-out only: GitLab can read no report with two
            report.sections = [*report.sections, (SECTIONS[xml.logging], f"{text}\n")]
        elif report.when == "teardown":
            from xml.etree.ElementTree import Element

            element = Element("system-out")
            element.text = text
            xml.node_reporter(report).append(element)

    def _in_project(self, path: str) -> PurePath:
        whole = self._config.rootpath / path
        for folder in filter(None, map(environ.get, PROJECTS)):
            if whole.is_relative_to(folder):
                return whole.relative_to(folder)
        return PurePath(path)

    # pytest-html

    def _add_to_html(self, report: pytest.TestReport, files: list[tuple[str, str]]) -> None:
        report_path = self._config.getoption("htmlpath", None)
        if not report_path:
            return
        from pytest_html import extras

        new = [(what, path) for what, path in files if path not in self._shown]
        self._shown.update(path for _, path in new)
        is_whole = self._config.getoption("self_contained_html")
        report_path = posixpath.expanduser(posixpath.expandvars(report_path))
        folder = (self._config.invocation_params.dir / report_path).parent
        added = []
        for what, path in new:
            number = PurePath(path).stem
            title = TITLES[what] if number == "1" else f"{TITLES[what]}, attempt {number}"
            whole = str(self._config.rootpath / path)
            if is_whole and posix.stat(whole).st_size <= EMBEDDED:
                added.append(extras.html(_embedded(what, title, whole)))
            else:
                added.append(extras.url(quote(posixpath.relpath(whole, folder)), title))
        vars(report)["extras"] = [*getattr(report, "extras", []), *added]


def _embedded(what: str, title: str, path: str) -> str:
    """Return HTML that has a file in itself: the page in a frame, the capture to be saved."""
    import html

    from .._linux import proc

    content = proc.read(path)  # a test may have a file system of its own
    if what == PAGE:
        frame = 'style="width: 100%; height: 40em; border: 0" sandbox="allow-scripts"'
        return f'<iframe title="{title}" {frame} srcdoc="{html.escape(content.decode())}"></iframe>'
    address = f"data:{MIMES[what][0]};base64,{base64.b64encode(content).decode()}"
    return f'<a download="{html.escape(PurePath(path).parent.name)}.pcapng" href="{address}">{title}</a>'
