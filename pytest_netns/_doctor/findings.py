"""What works on this machine, what does not and why, and the one remedy: found out by the program in ``probes.py``."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Sequence
from typing import NamedTuple

from .._child.launch import options
from .._errors import ChildDiedError, how_it_ended, is_meant

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from pytest_netns._doctor.probes import main; main(sys.argv[2:])"
)


class Finding(NamedTuple):
    """What one probe has found."""

    name: str
    ok: bool
    cause: str
    """What failed, with the errno's name; for one that is ok, the way it went or nothing."""
    remedy: str

    def __str__(self) -> str:
        return f"{self.name}: {self.cause}; {self.remedy}"


class Doctor:
    """Finds out what this machine can do, each thing once."""

    def __init__(self) -> None:
        self._known: dict[str, Finding] = {}

    def look(self, names: Sequence[str]) -> list[Finding]:
        """Return what is found for these probes, in their order."""
        wanted = [name for name in dict.fromkeys(names) if name not in self._known]
        if wanted:
            self._known.update((finding.name, finding) for finding in _run(wanted))
        return [self._known[name] for name in dict.fromkeys(names)]


def _run(names: Sequence[str]) -> list[Finding]:
    import subprocess

    paths = json.dumps([path or os.getcwd() for path in sys.path])
    command = [sys.executable, *options(), "-I", "-c", PROGRAM, paths, *names]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
    # Not by the exit status alone: where SIGCHLD is ignored, subprocess is not told it and says 0.
    if done.returncode or not done.stdout:
        how = how_it_ended(done.returncode or None)
        raise ChildDiedError(errno.ECHILD, f"the doctor's program ended {how}, with nothing found; see stderr")
    return [Finding(**found) for found in json.loads(done.stdout)]


def valid_names() -> tuple[str, ...]:
    """Return the names of the probes."""
    from .probes import PROBES

    return tuple(PROBES)


def unknown_names(names: Sequence[object]) -> str:
    """Say which of these are no probe's name, and which are valid; nothing if all are."""
    valid = valid_names()
    wrong = [repr(name) for name in names if name not in valid]
    if names and not wrong:
        return ""
    return f"{', '.join(wrong) or 'nothing'} is not what can be required; valid are: {', '.join(valid)}"


def diagnose(form: str) -> int:
    """Print what works on this machine, as a table or as JSON; return 1 when no namespace can be made, else 0."""
    findings = Doctor().look(valid_names())
    if form == "json":
        print(json.dumps([finding._asdict() for finding in findings], indent=2))
    else:
        print(table(findings))
    return 0 if all(finding.ok for finding in findings if finding.name == "netns") else 1


def table(findings: Sequence[Finding]) -> str:
    """Return findings as lines for a person: what, whether, why not, and below it what to do."""
    width = max(len(finding.name) for finding in findings)
    lines = []
    for name, ok, cause, remedy in findings:
        lines.append(f"{name:{width}}  {'ok' if ok else 'no'}  {cause}".rstrip())
        if not ok:
            lines.append(f"{'':{width}}      -> {remedy}")
    return "\n".join(lines)
