"""One round: start a run, kill one of its processes, wait for its end, and look for what is left."""

from __future__ import annotations

import contextlib
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from pytest_netns import kernel, names
from pytest_netns.holders import command_of

KINDS = ["controller", "worker", "resident child", "mode child", "command"]
DOUBLE = "pytest and its resident child"
LIMIT = 60.0  # seconds for a run to end, and for what is waited for to come
CLEAN = 2.0  # seconds after which nothing may be left
PAUSE = 0.01


class Missed(Exception):
    """There was no such process to kill at that moment."""


class Round:
    """One round, which the seed and its number determine.

    :param kind: what to kill; by default it is drawn.
    """

    def __init__(self, seed: int, number: int, kind: str | None = None) -> None:
        self._random = random.Random(f"{seed}:{number}")
        drawn = self._random.choice(KINDS)
        self.kind = kind or drawn
        in_workers = self._random.random() < 0.7
        self._in_workers = self.kind == "worker" or (self.kind != DOUBLE and in_workers)
        self._wait_for = self._random.randrange(1, 10)
        self._delay = self._random.uniform(0, 0.05)
        self._token = f"chaos-{seed}-{number}-{os.getpid()}"

    def __str__(self) -> str:
        where = "in workers" if self._in_workers else "alone"
        return f"{self.kind} {where}, {self._delay * 1e3:.0f} ms after {self._wait_for} tests had begun"

    def play(self) -> list[str]:
        """Play it; return a text for each thing that is wrong.

        :raises Missed: nothing was killed.
        """
        with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
            self._folder = Path(folder)
            links = os.listdir("/sys/class/net")
            with (self._folder / "output").open("w") as output:
                run = self._start(output, "suite.py", *(["-n2"] if self._in_workers else []))
            try:
                self._until(lambda: run.poll() is not None or len(self._told("tests")) >= self._wait_for)
                time.sleep(self._delay)
                self._strike(run)
                self._until(lambda: run.poll() is not None and not self._running_tests())
                wrong = self._unexpected(run.returncode)
                if self.kind == DOUBLE:
                    with (self._folder / "next").open("w") as output:
                        self._start(output, "next.py").wait(LIMIT)
                return wrong + self._left(set(links))
            finally:
                self._clean_up(run)

    def _start(self, output: IO[str], suite: str, *options: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, "CHAOS_TOKEN": self._token, "CHAOS_FOLDER": str(self._folder)}
        here = Path(__file__).parent
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
        # Without the settings and the conftest.py of the project's own tests.
        command += ["-c", "/dev/null", "--rootdir", str(self._folder), "--confcutdir", str(here)]
        command += [*options, str(here / suite)]
        return subprocess.Popen(
            command,
            cwd=self._folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _told(self, kind: str) -> list[str]:
        try:
            return (self._folder / kind).read_text().split()
        except FileNotFoundError:
            return []

    def _running_tests(self) -> list[int]:
        return [int(pid) for pid in self._told("workers") if kernel.start_time(int(pid)) is not None]

    def _until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + LIMIT
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"it hangs; its output is:\n{(self._folder / 'output').read_text()}")
            time.sleep(PAUSE)

    def _strike(self, run: subprocess.Popen[bytes]) -> None:
        looks: dict[str, Callable[[], list[int]]] = {
            "controller": lambda: [run.pid],
            "worker": self._running_tests,
            "resident child": lambda: self._alive("residents"),
            "mode child": self._mode_children,
            "command": lambda: self._alive("commands"),
            DOUBLE: lambda: [run.pid],
        }
        while run.poll() is None:
            if self._kill(looks[self.kind]()):
                return
            time.sleep(PAUSE)
        raise Missed("the run had ended")

    def _kill(self, victims: list[int]) -> bool:
        """Kill one of these processes; return whether there was one that had not ended."""
        if not victims:
            return False
        pids = [self._random.choice(sorted(victims))]
        try:
            if self.kind == DOUBLE:
                pids += self._alive("residents")
                for pid in pids:
                    os.kill(pid, signal.SIGSTOP)  # so that neither acts on the other's end
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def _alive(self, kind: str) -> list[int]:
        return [int(pid) for pid in set(self._told(kind)) if kernel.start_time(int(pid)) is not None]

    def _mode_children(self) -> list[int]:
        """Look for a child of a worker that is no other kind, for as long as one may take to come."""
        deadline = time.monotonic() + 1.0
        while time.monotonic() < deadline:
            known = {int(pid) for kind in ("residents", "commands", "workers") for pid in self._told(kind)}
            for worker in self._running_tests():
                # A command is told of only after it was started, but it is no Python.
                found = [pid for pid in _children_of(worker) - known if _is_of_python(pid)]
                if found:
                    return found
        return []

    def _unexpected(self, code: int) -> list[str]:
        """Return what is wrong with how a run ended that could go on."""
        output = (self._folder / "output").read_text()
        if self.kind in ("controller", DOUBLE) or (self.kind == "worker" and not self._in_workers):
            return []
        failed = sum(int(count) for count in re.findall(r"(\d+) (?:failed|errors?)\b", output.splitlines()[-1]))
        crashed = self.kind == "worker"
        if code not in (0, 1) or failed > 1 or (crashed and failed and "crashed" not in output):
            return [f"the run ended with {code}:\n{output[-3000:]}"]
        return []

    def _left(self, links: set[str]) -> list[str]:
        deadline = time.monotonic() + CLEAN
        while True:
            left = self._look(links)
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(PAUSE)

    def _look(self, links: set[str]) -> list[str]:
        left = [f"process {pid} ({command_of(pid)})" for pid in self._processes()]
        left += [f"name {path.name}" for path in self._names()]
        left += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if self._token in line]
        inodes = {int(inode) for inode in self._told("namespaces")}
        for pid in filter(str.isdecimal, os.listdir("/proc")):
            try:
                if os.stat(f"/proc/{pid}/ns/net").st_ino in inodes and self._is_ours(pid):
                    left.append(f"process {pid} in a namespace of the run")
            except OSError:
                continue
        pids = {*self._told("workers")}
        records = Path(f"/run/pytest-netns-{os.geteuid()}").glob("*")
        left += [f"record {path.name}" for path in records if path.name.split("-")[2] in pids]
        return left + [f"link {name}" for name in set(os.listdir("/sys/class/net")) - links]

    def _names(self) -> list[Path]:
        return list(Path(names.DIRECTORY).glob(f"{self._token}*"))

    def _processes(self) -> list[int]:
        return [int(pid) for pid in filter(str.isdecimal, os.listdir("/proc")) if self._is_ours(pid)]

    def _is_ours(self, pid: str) -> bool:
        try:
            is_ours = f"CHAOS_TOKEN={self._token}\0".encode() in Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False
        return is_ours and kernel.start_time(int(pid)) is not None

    def _clean_up(self, run: subprocess.Popen[bytes]) -> None:
        """End what a round has left that failed, or that killed nothing."""
        run.kill()
        run.wait()
        deadline = time.monotonic() + LIMIT
        while (pids := self._processes()) and time.monotonic() < deadline:  # they start others meanwhile
            for pid in pids:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(PAUSE)
        for path in self._names():
            names.remove(path.name, lambda path: True)


def _children_of(pid: int) -> set[int]:
    found: set[int] = set()
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            found |= {int(child) for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split()}
    except (FileNotFoundError, ProcessLookupError):
        pass  # it has ended meanwhile
    return found


def _is_of_python(pid: int) -> bool:
    try:
        return "python" in os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return False
