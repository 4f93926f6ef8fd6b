"""One round: start a run, disturb it, wait for its end, and look for what is left."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import tempfile
from pathlib import Path

from pytest_netns._linux import proc, run_netns, syscalls

from .evidence import Evidence, Kept
from .left import Remains, names_of
from .run import LIMIT, PAUSE, Missed, Run
from .shortage import NOT_STARTED
from .strikes import DOUBLE, MISCOUNTED, OF_A_WORKER, RECORDED, make_strike, possible_kinds

USERNS = ("process", "resident")


class Round:
    """One round, which the seed and its number determine.

    :param kind: what happens; by default it is drawn.
    :param userns: where the run is in a user namespace: ``process``, ``resident``, or ``off`` for nowhere; by default
        it is drawn for who is not root.
    :param capture: as ``--netns-capture``; by default it is drawn.
    """

    def __init__(
        self, seed: int, number: int, kind: str | None = None, userns: str | None = None, capture: str | None = None
    ) -> None:
        self._random = random.Random(f"{seed}:{number}")
        drawn = self._random.choice(possible_kinds())
        self.kind = kind or drawn
        in_workers = self._random.random() < 0.7
        self._in_workers = self.kind in OF_A_WORKER or (self.kind != DOUBLE and in_workers)
        self._moment = self._random.choice(["begun", "begun to close"])
        self._wait_for = self._random.randrange(1, 10)
        self._delay = self._random.uniform(0, 0.05)
        drawn = self._random.choice(USERNS) if os.geteuid() else "off"
        self._evidence = Evidence.drawn(self._random, capture, is_recorded=self.kind in RECORDED)
        is_recorded = self._evidence.capture != "off"
        self._strike = make_strike(self.kind, self._random, in_workers=self._in_workers, is_recorded=is_recorded)
        if self._strike.under and os.geteuid():  # what is kept is that of another user, in a namespace of its own
            self._evidence = self._evidence._replace(keeps=False)
        self._userns = self._strike.userns or userns or drawn
        self._token = f"chaos-{seed}-{number}-{os.getpid()}"

    def __str__(self) -> str:
        where = "in workers" if self._in_workers else "alone"
        rootless = "" if self._userns == "off" else f", --netns-userns={self._userns}"
        moment = f"{self._delay * 1e3:.0f} ms after {self._wait_for} tests had {self._moment}"
        return f"{self.kind} {where}{rootless}, {self._evidence}, {moment}"

    def play(self, within: float) -> list[str]:
        """Play it; return a text for each thing that is wrong.

        :param within: seconds after which nothing may be left.
        :raises Missed: nothing was disturbed.
        """
        with tempfile.TemporaryDirectory(prefix="chaos-") as name:
            folder, remains = Path(name), Remains()
            (folder / "runtime").mkdir(mode=0o700)
            run = self._start(folder, "suite.py", *(["-n2"] if self._in_workers else []))
            try:
                told = "tests" if self._moment == "begun" else "closings"
                run.until(lambda: run.has_ended or len(run.told(told)) >= self._wait_for)
                syscalls.sleep(self._delay)
                self._strike.strike(run)
                run.until(lambda: run.has_ended and not run.alive("workers"))
                if run.process.returncode == NOT_STARTED:
                    raise Missed(run.output)
                wrong = self._strike.wrong(run)
                if self.kind == DOUBLE:
                    self._start(folder, "next.py").process.wait(LIMIT)
                within += self._strike.delay
                return wrong + self._end_kept(run, within) + remains.after(run, within)
            finally:
                clean_up(run)

    def _end_kept(self, run: Run, within: float) -> list[str]:
        kept = Kept(run)
        wrong = kept.end(within)
        if not self._strike.ends_keepers:
            wrong += kept.not_there()
        if not self._strike.ends_pytest and MISCOUNTED not in run.output:
            wrong += kept.not_said()
        return wrong

    def _start(self, folder: Path, suite: str, *options: str) -> Run:
        env = {**self._strike.env, **self._evidence.env, "XDG_RUNTIME_DIR": str(folder / "runtime")}
        env["TMPDIR"] = env["XDG_RUNTIME_DIR"]  # for the keys of TLS
        options = (*self._evidence.options, *options)
        if self._userns != "off":
            options = (f"--netns-userns={self._userns}", *options)
            env[proc.ENTERED] = ""  # it enters one of its own, wherever we are
        if self._userns == "resident":
            env["CHAOS_OUTSIDE"] = "1"
        return Run(folder, self._token, *options, suite=suite, under=self._strike.under, env=env)


def clean_up(run: Run) -> None:
    """End what a round has left that failed, or that disturbed nothing."""
    run.process.kill()
    run.process.wait()
    deadline = syscalls.monotonic() + LIMIT
    while (pids := list(run.processes())) and syscalls.monotonic() < deadline:  # they start others meanwhile
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        syscalls.sleep(PAUSE)
    for path in names_of(run):
        run_netns.remove(path.name, lambda path: True)
    run.close()
