"""How the doctor's findings are shown: to a person, with the verdict first, or as JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

from .findings import Doctor, Finding, valid_names
from .topics import GROUPS
from .verdict import Verdict, judge

Paint = Callable[[str, str], str]
COLOURS = {"bold": "1", "green": "32", "red": "31", "dim": "2"}
WIDTH = 11  # of the names


def diagnose(form: str, color: str = "auto") -> int:
    """Print what works on this machine; return 1 when no namespace can be made, else 0.

    :param form: ``table``, for a person, or ``json``.
    :param color: ``yes``, ``no`` or ``auto``, as of pytest's option.
    """
    names = valid_names()
    progress = Progress(sys.stderr, names) if form == "table" and sys.stderr.isatty() else None
    try:
        findings = Doctor().look(names, progress or (lambda count: None))
    finally:
        if progress is not None:
            progress.clear()
    verdict = judge(findings)
    if form == "json":
        said = Finding("verdict", verdict.ok, verdict.text, verdict.remedy)
        print(json.dumps([finding._asdict() for finding in [*findings, said]], indent=2))
    else:
        print(table(findings, verdict, painter(is_coloured(sys.stdout, color))))
    return 0 if all(finding.ok for finding in findings if finding.name == "netns") else 1


class Progress:
    """Says on a terminal which probe runs."""

    def __init__(self, terminal: TextIO, names: Sequence[str]) -> None:
        self._terminal = terminal
        self._names = names
        self(0)

    def __call__(self, count: int) -> None:
        if count < len(self._names):
            self._write(f"trying {self._names[count]} ({count + 1} of {len(self._names)})")

    def clear(self) -> None:
        self._write("")

    def _write(self, text: str) -> None:
        self._terminal.write(f"\r\033[K{text}")
        self._terminal.flush()


def is_coloured(stream: TextIO, color: str) -> bool:
    """Whether to use colours: as the option says, or else NO_COLOR, FORCE_COLOR and whether it is a terminal."""
    if color != "auto":
        return color == "yes"
    if os.environ.get("NO_COLOR"):  # no-color.org
        return False
    return bool(os.environ.get("FORCE_COLOR")) or (stream.isatty() and os.environ.get("TERM") != "dumb")


def painter(is_coloured: bool) -> Paint:
    """Return what gives a text the colours of these names."""

    def paint(text: str, names: str) -> str:
        codes = ";".join(COLOURS[name] for name in names.split())
        return f"\033[{codes}m{text}\033[0m" if is_coloured and text else text

    return paint


def table(findings: Sequence[Finding], verdict: Verdict, paint: Paint) -> str:
    """Return findings as lines for a person: the verdict, and then each by its group, with what to do about it."""
    by_name = {finding.name: finding for finding in findings}
    lines = [paint(verdict.text, f"bold {'green' if verdict.ok else 'red'}")]
    if verdict.remedy:
        lines.append(f"  -> {verdict.remedy}")
    if verdict.lacking:
        lines.append(f"This machine lacks what some tests may ask for: {', '.join(verdict.lacking)}.")
    if verdict.blocked:
        lines.append(f"Not tried, as that takes namespaces: {', '.join(verdict.blocked)}.")
    for group, topics in GROUPS.items():
        shown = [by_name[name] for name in topics if name not in ("netns", *verdict.blocked) or by_name[name].ok]
        if shown:
            lines += ["", paint(group, "bold")]
            lines += [line for finding in shown for line in _lines(finding, topics[finding.name], verdict, paint)]
    return "\n".join(lines)


def _lines(finding: Finding, about: str, verdict: Verdict, paint: Paint) -> Iterator[str]:
    mark = paint("ok", "green") if finding.ok else paint("no", "red")
    how = f" ({finding.cause})" if finding.ok and finding.cause else ""
    if finding.name in verdict.unneeded:
        mark, how = paint("--", "dim"), " (not needed, as namespaces are made rootless)"
    yield f"  {mark}  {finding.name:{WIDTH}}  {about}{paint(how, 'dim')}"
    if not finding.ok and finding.name not in verdict.unneeded:
        yield f"{'':{WIDTH + 8}}{finding.cause}"
        yield f"{'':{WIDTH + 8}}-> {finding.remedy}"
