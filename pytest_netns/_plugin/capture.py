"""``--netns-capture``: what crosses links is recorded, and written to a file for each failed test, or for all."""

from __future__ import annotations

import contextlib
import posix
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .._capture.tls_keys import TLSKeys
from .._errors import is_meant
from .keys import captures_key, settings_key
from .leaks import is_leak_checked
from .notices import notice
from .reporting import shows_failure

if TYPE_CHECKING:
    from .._netns.factory import Session

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

SECTION = "netns capture"
CAPTURE, PAGE = "netns-capture", "netns-page"
"""Properties of a report: the files of the attempt, relative to the rootdir."""
CRASH_PATIENCE, CRASH_PAUSE = 1.0, 0.01  # seconds for a recorder to write what a crash has left, and between two looks

test_key = pytest.StashKey["Attempt"]()


def pytest_configure(config: pytest.Config) -> None:
    settings = config.stash[settings_key]
    config.stash[captures_key] = captures = Captures(config, settings.capture, settings.artifacts)
    config.add_cleanup(captures.close)


class Attempt:
    """A test that runs, or runs again.

    :param path: where its file is written, relative to the rootdir.
    """

    def __init__(self, item: pytest.Item, number: int, path: str) -> None:
        self.item = item
        self.number = number
        self.path = path
        self.hosts: list[tuple[str, str]] = []
        self.told: set[str] = set()
        """What its report says of what is missing."""
        item.user_properties[:] = [one for one in item.user_properties if one[0] not in (CAPTURE, PAGE)]

    @property
    def is_written(self) -> bool:
        return any(name == CAPTURE for name, _ in self.item.user_properties)

    def add(self, name: str, path: str) -> None:
        """Have its reports name a file."""
        if (name, path) not in self.item.user_properties:
            self.item.user_properties.append((name, path))


class Captures:
    """Has namespaces recorded, test by test, and the files written.

    :param mode: as of ``--netns-capture``.
    :param folder: for the files, relative to the rootdir.
    """

    def __init__(self, config: pytest.Config, mode: str, folder: str) -> None:
        self._config = config
        self.mode = mode
        self._folder = folder
        self._session: Session | None = None
        self._attempt: Attempt | None = None
        self._keys = TLSKeys()
        self._said: set[str] = set()  # of tests that passed, each once
        self._since = time.time_ns()
        self.interrupted: list[str] = []
        """What is to be said of tests that have no report, since the run was interrupted."""

    def own(self, session: Session) -> None:
        """Know what makes namespaces, as soon as there is one."""
        self._session = session
        session.recorder.program.keys_folder = self._keys.folder
        if self._attempt is not None:
            self._begin(session, self._attempt)

    def begin(self, item: pytest.Item) -> None:
        """Have what comes be that of a test."""
        number = item.stash[test_key].number + 1 if test_key in item.stash else 1
        self._attempt = Attempt(item, number, self.path(item.nodeid, number))
        item.stash[test_key] = self._attempt
        if self._session is not None:
            self._begin(self._session, self._attempt)

    def path(self, nodeid: str, number: int) -> str:
        """Return where the file of an attempt is written, relative to the rootdir."""
        from .._capture.naming import folder_name

        return f"{self._folder}/{folder_name(nodeid)}/{number}.pcapng"

    def left_by(self, nodeid: str) -> str:
        """Return the file that a recorder writes whose worker has crashed in a test, or nothing if there is none.

        It is waited for, for a moment: the recorder learns of the crash when this process does.
        """
        from .._linux import syscalls

        path = self._config.rootpath / self.path(nodeid, 1)
        deadline = syscalls.monotonic() + CRASH_PATIENCE
        while not self._is_of_this_run(path):
            if syscalls.monotonic() > deadline:
                return ""
            syscalls.sleep(CRASH_PAUSE)
        return self.path(nodeid, 1)

    def _is_of_this_run(self, path: Path) -> bool:
        try:
            return posix.stat(path).st_mtime_ns >= self._since
        except OSError:
            return False

    def _begin(self, session: Session, attempt: Attempt) -> None:
        from .._capture.program.artefact import HEADERS_ONLY
        from .._capture.recorder import WITHOUT_LIMIT, now

        path, line, _ = attempt.item.location
        again = f", attempt {attempt.number}" if attempt.number > 1 else ""
        comments = [f"{attempt.item.nodeid}{again}", f"{path}:{(line or 0) + 1}"]
        is_headers_only = self.mode == "headers"
        session.recorder.begin(
            str(self._config.rootpath / attempt.path),
            comments,
            now(),
            is_headers_only,
            self._keys.path,
            self._keys.size(),
            longest=HEADERS_ONLY if is_headers_only else WITHOUT_LIMIT,
        )

    @contextlib.contextmanager
    def keys(self) -> Iterator[None]:
        """Have the keys of TLS sessions written for the length of a block, if they are wanted."""
        with contextlib.ExitStack() as stack:
            if self.mode != "headers":
                try:
                    stack.enter_context(self._keys.written())
                except OSError as error:
                    notice(self._config, f"no TLS keys are recorded: {error}")
            yield

    def close(self) -> None:
        self._keys.close()

    # The end of a phase, and of a test

    def write(self, comments: list[str]) -> str:
        """Write the file of the test that runs; return what there is to say of it, or nothing."""
        attempt, session = self._attempt, self._session
        if attempt is None or session is None:
            return ""
        written = session.recorder.write(comments, session.hosts() or attempt.hosts)
        troubles = session.recorder.troubles
        lines = []
        if written is not None and written[0]:
            count, left_out = written
            lines = [f"{count} frame{'s' if count > 1 else ''}: {attempt.path}"]
            lines += [f"{left_out} more did not fit; these are the newest"] if left_out else []
            attempt.add(CAPTURE, attempt.path)
        elif written is not None:
            lines = ["no frames were sent or received"]
        attempt.told.update(troubles)
        return "\n".join([*lines, *troubles])

    def remember_hosts(self) -> None:
        """Know the names of hosts before the namespaces are closed."""
        if self._attempt is not None and self._session is not None:
            self._attempt.hosts = self._session.hosts()

    def end(self) -> None:
        """Let the test be over."""
        attempt, session = self._attempt, self._session
        self._attempt = None
        if attempt is None or session is None:
            return
        session.recorder.end()
        for text in session.recorder.troubles:
            if text not in attempt.told | self._said:
                self._said.add(text)
                notice(self._config, f"frames were not recorded: {text}", attempt.item.nodeid)

    def interrupt(self, error: BaseException) -> None:
        """Write the file of a test that has no report."""
        if self._attempt is not None:
            nodeid = self._attempt.item.nodeid
            text = self.write([f"the run was interrupted in this test: {type(error).__name__}"])
            if text:
                self.interrupted.append(f"{nodeid}: {text}")
            self._attempt = None


def _is_recorded(item: pytest.Item) -> bool:
    settings = item.config.stash[settings_key]
    return settings.capture != "off" and (is_leak_checked(item) or settings.isolate != "off")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    if not _is_recorded(item):
        return (yield)
    captures = item.config.stash[captures_key]
    from . import ladder

    with captures.keys(), ladder.noted(item):
        try:
            return (yield)
        except BaseException as error:
            captures.interrupt(error)
            raise


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    if _is_recorded(item):
        item.config.stash[captures_key].begin(item)
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    item.config.stash[captures_key].remember_hosts()
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    captures = item.config.stash[captures_key]
    attempt = item.stash.get(test_key, None)
    if attempt is None or captures.mode == "off":
        return report
    try:
        is_last = report.when == "teardown"
        failed = shows_failure(item, report)
        if failed or (captures.mode == "all" and is_last and not attempt.is_written):
            text = captures.write(_comments(report) if failed else [])
            if text and failed:
                text = f"{_page(item, report, attempt)}\n{text}"
            if text:
                report.sections.append((SECTION, text))
            report.user_properties = list(item.user_properties)
        if is_last:
            captures.end()
    except Exception as error:  # what is added to a report is not to change a result
        report.sections.append((SECTION, f"it failed: {error!r}"))
    return report


def _page(item: pytest.Item, report: pytest.TestReport, attempt: Attempt) -> str:
    """Write the page of a failed test; return what there is to say of it."""
    page = f"{attempt.path.removesuffix('.pcapng')}.html"
    try:
        from . import ladder

        if ladder.tell(item, report, item.config.rootpath / page):
            attempt.add(PAGE, page)
    except Exception as error:  # what is added to a report is not to change a result
        return f"no page: {error}"
    return f"the page: {page}"


def _comments(report: pytest.TestReport) -> list[str]:
    crash: Any = getattr(report.longrepr, "reprcrash", None)
    if crash is None:
        return [f"failed in its {report.when}"]
    return [f"failed in its {report.when} at {crash.path}:{crash.lineno}: {crash.message}"]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    for text in config.stash[captures_key].interrupted:
        terminalreporter.write_line(f"netns capture of {text}")
