"""What was recorded, in the report of a failed test: a ladder, and a page beside the capture."""

from __future__ import annotations

import contextlib
import datetime
import logging
import posix  # a test may have a file system of its own
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pytest

from .._errors import is_meant
from .attempts import audit_of
from .evidence import TITLE, told_key
from .keys import originals_key, session_key, settings_key, summary_key
from .topologies import plans

if TYPE_CHECKING:
    from pathlib import Path

    from .._capture.recorder import Recorded
    from .._netns.factory import Session
    from .._report.ladder.recording import Recording
    from .._report.page.contents import Contents
    from .._report.recorded import Happened
    from .._report.timeline import Timeline

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

WIDTH = 110
SEQUENCE = "netns_sequence"
"""The attribute of a report that has the ladder for the summary."""

timeline_key: pytest.StashKey[Timeline] = pytest.StashKey()
"""In the stash of a test that is recorded: what happens in it."""
hears_key = pytest.StashKey[bool]()


@contextlib.contextmanager
def noted(item: pytest.Item) -> Iterator[None]:
    """Take note of the lines and log records of a test, for the length of a block."""
    with item.config.stash[originals_key].in_place():
        from .._report.timeline import EVENTS, Timeline

    current = item.config.stash[timeline_key] = Timeline(item.path)
    if hears_key not in item.config.stash:
        item.config.stash[hears_key] = True
        audit_of(item.config).listen(EVENTS, lambda *event: item.config.stash[timeline_key].hear(*event))
    logging.getLogger().addHandler(current)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(current)


def tell(item: pytest.Item, report: pytest.TestReport, path: Path) -> bool:
    """Add a ladder to the report of a failed test, and write a page; return whether there is one.

    :param path: where that is written.
    :raises OSError: it cannot be written; the ladder is there.
    """
    session: Session = item.config.stash[session_key]
    begun = session.recorder.begun
    if begun is None or not session.recorder.program.runs:
        return False
    with item.config.stash[originals_key].in_place():
        from .._capture.headers import cut
        from .._capture.recorder import now
        from .._report import recorded
        from .._report.ladder.drawing import draw
        from .._report.ladder.sequence import sequence
        from .._report.page.page import write

    until = now()
    frames = session.recorder.of_test()
    if item.config.stash[settings_key].capture == "headers":
        frames = [one._replace(frames=[frame._replace(data=cut(frame.data)) for frame in one.frames]) for one in frames]
    happened = item.config.stash[timeline_key].happened()
    recording = recorded.recording(frames, session.namespaces(), begun, until, happened)
    encoding = getattr(sys.__stdout__, "encoding", None) or "utf-8"
    ladder = draw(recording, WIDTH, encoding=encoding)
    text = "\n\n".join(text for title, text in report.sections if title == TITLE)
    others = [section for section in report.sections if section[0] != TITLE]
    if ladder:
        report.sections = [(TITLE, f"{text}\n\n{ladder}".strip()), *others]
    if item.config.stash[summary_key]:
        vars(report)[SEQUENCE] = sequence(recording)
    write_file(path, write(_contents(item, report, recording, happened, frames)).encode())
    return True


def write_file(path: Path, content: bytes) -> None:
    """Write the file of a test, with the folder for it."""
    for folder in (path.parents[1], path.parent):  # below the rootdir
        with contextlib.suppress(FileExistsError):
            posix.mkdir(folder)
    fd = posix.open(path, posix.O_WRONLY | posix.O_CREAT | posix.O_TRUNC | posix.O_CLOEXEC, 0o666)
    try:
        while content:
            content = content[posix.write(fd, content) :]
    except OSError:
        posix.unlink(path)  # a part of it is of no use
        raise
    finally:
        posix.close(fd)


def _contents(
    item: pytest.Item,
    report: pytest.TestReport,
    recording: Recording,
    happened: Sequence[Happened],
    frames: Sequence[Recorded],
) -> Contents:
    from .._report import recorded
    from .._report.page.contents import Contents
    from .._topology.drawing.svg import svg

    why, changed, missing = item.stash.get(told_key, None) or ([], [], [])
    left_out = [(one.frames[0].namespace, one.left_out) for one in frames if one.frames and one.left_out]
    return Contents(
        test=item.nodeid,
        when=f"failed in its {report.when}, {datetime.datetime.now().astimezone():%Y-%m-%d %H:%M:%S %Z}",
        why=tuple(line.strip() for line in why),
        missing=(
            *missing,
            *(f"{count} frames of {name} did not fit; these are the newest" for name, count in left_out),
        ),
        hosts=tuple(recording.hosts),
        drawing="".join(svg(plan) for plan in plans(item)),
        changes="\n".join(changed[1:]),  # the page has a title of its own
        failure=report.longreprtext,
        events=tuple(recorded.events(recording, happened)),
    )
