"""The section ``network`` of a test in which its process dies, which the resident child has looked at then.

A worker of pytest-xdist writes to a file that its controller reads; of any other run, what was seen goes to stderr.
"""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import posix as os  # a test may have a file system of its own
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from .._errors import is_meant
from .._linux import syscalls
from .evidence import TITLE, interrupted_key, text_of
from .keys import settings_key, witness_key

if TYPE_CHECKING:
    from .._netns.factory import Session

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

FILE = "netns_witness"
INTERRUPTED = "as it was when the test was interrupted:"
PAUSE = 0.02  # seconds between two looks whether a file is complete
LONGEST = 1 << 16  # bytes of a section
LONGEST_ID = 4096  # bytes of the name of a test, as of the resident child's witness
files_key = pytest.StashKey[dict[str, int]]()
"""The files of a controller that its workers write to, by their ids."""


class Running:
    """What the resident child knows of the test that runs, if this process dies in it.

    The name of the test is in shared memory: a test may have closed the descriptors of all, and opened others.

    :param out: a descriptor of the file to which it writes then.
    """

    def __init__(self, out: int) -> None:
        self._fds = [os.memfd_create("netns-running-test", os.MFD_CLOEXEC), out]
        os.ftruncate(self._fds[0], LONGEST_ID)
        self._test = mmap.mmap(self._fds[0], LONGEST_ID)

    def show_to(self, session: Session) -> None:
        """Let the resident child of a session have the files, as soon as it starts."""
        session.modes.resident.witness = tuple(self._fds)

    def begin(self, test: str) -> None:
        name = test.encode(errors="replace")[: LONGEST_ID - 1] + b"\0"
        self._test[: len(name)] = name

    def end(self) -> None:
        self._test[:1] = b"\0"

    def tell(self, test: str, when: str, text: str) -> None:
        """Write a section, as the resident child would: this process is about to end, and the child need not look."""
        left = f"\n{TITLE} of {test}, {when}\n{text}\n".encode(errors="replace")
        while left:
            left = left[os.write(self._fds[1], left) :]
        self.end()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            fcntl.flock(self._fds[1], fcntl.LOCK_UN)  # a process that a test has forked may have a copy
        self._test.close()
        syscalls.close_all(self._fds)


def _open(config: pytest.Config) -> int:
    """Return a descriptor of the file that a report goes to: one of the controller, or stderr."""
    given = getattr(config, "workerinput", {})
    with contextlib.suppress(OSError):  # /proc is not mounted, for example
        if FILE in given:
            fd = os.open(given[FILE], os.O_RDWR | os.O_CLOEXEC)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
    try:
        number = sys.stderr.fileno()
    except (AttributeError, ValueError, OSError):  # it has been replaced: as pytest's faulthandler has it
        number = sys.__stderr__.fileno() if sys.__stderr__ is not None else 2
    return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3)


def pytest_configure(config: pytest.Config) -> None:
    try:
        running = config.stash[witness_key] = Running(_open(config))
    except (OSError, ValueError):
        return  # there is no stderr, or no room for a descriptor: nobody would see it
    config.add_cleanup(running.close)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[Any]:
    running = item.config.stash.get(witness_key, None)
    if running is None:
        return (yield)
    running.begin(item.nodeid)
    try:
        return (yield)
    except KeyboardInterrupt:
        name, told = item.config.stash.get(interrupted_key, ("", None))
        if told is not None and any(told) and hasattr(item.config, "workerinput"):  # it cannot send a report any more
            with contextlib.suppress(OSError):  # a test has closed the file
                running.tell(name, INTERRUPTED, text_of(told))
        raise
    finally:
        running.end()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Give a worker of pytest-xdist that runs on this machine a file to write to."""
    if not getattr(node.gateway.spec, "popen", False):
        return
    config = node.config
    if files_key not in config.stash:
        files: dict[str, int] = {}
        config.stash[files_key] = files
        config.add_cleanup(lambda: syscalls.close_all(list(files.values())))
    try:  # in memory: nothing is left of it, however the run ends
        fd = config.stash[files_key][node.gateway.id] = os.memfd_create("netns-worker", os.MFD_CLOEXEC)
    except OSError:
        return  # no room for a descriptor: it tells stderr
    node.workerinput[FILE] = f"/proc/{os.getpid()}/fd/{fd}"


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem: str, report: Any) -> None:
    """Add what was seen as a worker crashed."""
    config = report.node.config
    fd = config.stash.get(files_key, {}).pop(report.node.gateway.id, None)
    first, _, text = _read(fd, _deadline(config)).partition("\n")
    if first.startswith(f"{TITLE} of {crashitem}, "):
        report.sections.append((TITLE, f"{first.removeprefix(f'{TITLE} of {crashitem}, ')}\n{text}"))


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Show what was seen in workers that were ended in a test, since the run was interrupted."""
    files, deadline = config.stash.get(files_key, {}), _deadline(config)
    while files:
        first, _, text = _read(files.pop(next(iter(files))), deadline).partition("\n")
        if text:
            title, _, when = first.rpartition(", ")
            terminalreporter.section(title, sep="-")
            terminalreporter.write_line(f"{when}\n{text}")


def _deadline(config: pytest.Config) -> float:
    return syscalls.monotonic() + config.stash[settings_key].child_timeout / 2


def _read(fd: int | None, deadline: float) -> str:
    """Return what is in a file as soon as nobody has it locked, or when the time is over; close it."""
    if fd is None:
        return ""
    try:
        while syscalls.monotonic() < deadline:
            try:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                syscalls.sleep(PAUSE)
        return os.pread(fd, LONGEST, 0).decode(errors="replace").strip()
    finally:
        os.close(fd)
