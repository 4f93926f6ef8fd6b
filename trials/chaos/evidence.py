"""What a run leaves on purpose: the captures of its tests, and the namespaces of those that have failed."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from pytest_netns._linux import syscalls

from .run import LIMIT, PAUSE, Run

CAPTURES = ("off", "failed", "all")
FOLDER = "small/artifacts"  # where it is short of space, if anywhere is
SAID = re.compile(r"^  python -m pytest_netns shell (\d+-\d+) ", re.MULTILINE)


class Evidence(NamedTuple):
    """What is asked of a run.

    :param capture: as ``--netns-capture``.
    :param keeps: whether ``--netns-keep=failed`` is given.
    """

    capture: str
    keeps: bool

    @classmethod
    def drawn(cls, drawn: random.Random, capture: str | None, *, is_recorded: bool) -> Evidence:
        """Draw it.

        :param capture: the one to have; by default it is drawn.
        :param is_recorded: whether there has to be one.
        """
        by_chance = drawn.choice(CAPTURES[1:] if is_recorded else CAPTURES)
        return cls(capture or by_chance, drawn.random() < 0.5)

    def __str__(self) -> str:
        return f"--netns-capture={self.capture}{' --netns-keep=failed' if self.keeps else ''}"

    @property
    def options(self) -> list[str]:
        return [*str(self).split(), f"--netns-artifacts={FOLDER}"]

    @property
    def env(self) -> dict[str, str]:
        """Some tests fail on purpose where there is anything to be had of those that fail."""
        return {} if self.capture == "off" and not self.keeps else {"CHAOS_FAILS": "1"}


class Kept:
    """The namespaces that a run has kept, which are ended."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._pids = {owner.partition("-")[0] for owner in run.told("owners")}
        self._ended: set[str] = set()

    def end(self, limit: float) -> list[str]:
        """End them; return a text for each thing that is wrong.

        :param limit: seconds after which a resident child knows that its session has ended.
        """
        deadline = syscalls.monotonic() + limit
        while True:
            refused = [text for place in self._run.places for text in self._end_in(place)]
            if not refused or syscalls.monotonic() > deadline:
                return refused
            syscalls.sleep(PAUSE)

    def _end_in(self, place: Path) -> list[str]:
        listed = _ask(place, "list")
        names = re.findall(r"^(\d+-\d+) .*\bkept\b", listed.stdout, re.MULTILINE)
        refused = [] if listed.returncode == 0 else [f"list: {listed.stderr}"]
        for name in names:
            if name.partition("-")[0] in self._pids:
                done = _ask(place, "end", name)
                self._ended |= set() if done.returncode else {name}
                refused += [f"end {name}: {done.stderr}"] if done.returncode else []
        return refused

    def not_there(self) -> list[str]:
        """Return a text for each that was said to be kept, and was not there."""
        return [f"said to be kept, and not there: {name}" for name in sorted(self._said - self._ended)]

    def not_said(self) -> list[str]:
        """Return a text for each that was kept, and not said to be."""
        return [f"kept, and not said: {name}" for name in sorted(self._ended - self._said)]

    @property
    def _said(self) -> set[str]:
        return set(SAID.findall(self._run.output))


def _ask(place: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run ``python -m pytest_netns`` where the sessions are found that have their sockets in a folder."""
    folder = str(place).replace("/proc/self/", f"/proc/{os.getpid()}/")
    return subprocess.run(
        [sys.executable, "-m", "pytest_netns", *args],
        env={**os.environ, "XDG_RUNTIME_DIR": folder},
        check=False,
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )
