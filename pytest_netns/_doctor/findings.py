"""What works on this machine, what does not and why, and the one remedy: found out by the program in ``probes.py``."""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Callable, Iterator, Sequence
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
    """What failed, with the errno's name; for one that is ok, how it was done or nothing."""
    remedy: str

    def __str__(self) -> str:
        return f"{self.name}: {self.cause}; {self.remedy}"

    def is_explained_by(self, other: Finding) -> bool:
        """Whether both have failed for one cause, so that to say it once is enough."""
        return not self.ok and not other.ok and self.remedy == other.remedy and self.cause in other.cause


class Doctor:
    """Finds out what this machine can do, each thing once."""

    def __init__(self) -> None:
        self._known: dict[str, Finding] = {}

    def look(self, names: Sequence[str], on_found: Callable[[int], object] = lambda count: None) -> list[Finding]:
        """Return what is found for these probes, in their order.

        :param on_found: told how many have answered, after each.
        """
        wanted = [name for name in dict.fromkeys(names) if name not in self._known]
        if wanted:
            for count, finding in enumerate(_run(wanted), 1):
                self._known[finding.name] = finding
                on_found(count)
        return [self._known[name] for name in dict.fromkeys(names)]

    def lacking(self, names: Sequence[str]) -> list[Finding]:
        """Return what is lacking of these; that no namespace can be made, alone, where it explains the rest."""
        lacking = [finding for finding in self.look(names) if not finding.ok]
        if lacking:
            (netns,) = self.look(["netns"])
            if all(finding.is_explained_by(netns) for finding in lacking):
                return [netns]
        return lacking


def _run(names: Sequence[str]) -> Iterator[Finding]:
    import subprocess

    paths = json.dumps([path or os.getcwd() for path in sys.path])
    command = [sys.executable, *options(), "-I", "-c", PROGRAM, paths, *names]
    count = 0
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        for line in process.stdout or ():
            yield Finding(**json.loads(line))
            count += 1
    # Not by the exit status alone: where SIGCHLD is ignored, subprocess is not told it and says 0.
    if process.returncode or count < len(names):
        how = how_it_ended(process.returncode or None)
        found = f"{count} of {len(names)} things" if count else "nothing"
        raise ChildDiedError(errno.ECHILD, f"the doctor's program ended {how}, with {found} found; see stderr")


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
