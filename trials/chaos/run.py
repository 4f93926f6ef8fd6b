"""A run of pytest that is disturbed, as seen from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from pytest_netns._linux import proc, syscalls

LIMIT = 60.0  # seconds for a run to end, and for what is waited for to come
PAUSE = 0.01
ENVIRONMENT = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # others than those that a run names only take time
HERE = Path(__file__).parent


class Missed(Exception):
    """There was nothing to disturb at that moment."""


class Run:
    """A run of pytest.

    :param folder: where it is, and tells what it has (see ``telling.py``).
    :param token: what its processes have in their environment.
    :param under: what to put before its command.
    """

    def __init__(
        self,
        folder: Path,
        token: str,
        *options: str,
        suite: str = "suite.py",
        under: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.token = token
        # What may stand for /run.
        self.places = [folder / "runtime", Path("/run"), Path(tempfile.gettempdir())]
        self._held: list[int] = []
        self._output = folder / f"output of {suite}"
        command = [*under, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        command += ["-p", "pytest_netns.plugin", "-p", "xdist.plugin"]
        # Without the settings and the conftest.py of the project's own tests.
        command += ["-c", "/dev/null", "--rootdir", str(folder), "--confcutdir", str(HERE)]
        command += [f"--basetemp={folder}/temp"]  # the other one is named after the user, who may be another inside
        with self._output.open("w") as output:
            self.process = subprocess.Popen(
                [*command, *options, str(HERE / suite)],
                cwd=folder,
                env={**os.environ, **ENVIRONMENT, "CHAOS_TOKEN": token, "CHAOS_FOLDER": str(folder), **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.pid = self.process.pid

    def hold(self, *places: Path) -> None:
        """Look for names and records in these folders too, also when nobody else has them any more."""
        for place in places:
            self._held.append(os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            self.places.append(Path(f"/proc/self/fd/{self._held[-1]}"))

    def close(self) -> None:
        """Let go of the folders."""
        while self._held:
            os.close(self._held.pop())

    @property
    def output(self) -> str:
        """What it has written so far."""
        return self._output.read_text()

    @property
    def has_ended(self) -> bool:
        """Whether pytest has; a worker may go on."""
        return self.process.poll() is not None

    def told(self, kind: str) -> list[str]:
        try:
            lines = (self.folder / "told").read_text().splitlines()
        except FileNotFoundError:
            return []
        return [value for key, _, value in (line.partition("=") for line in lines) if key == kind]

    def alive(self, kind: str) -> list[int]:
        """Return those processes that it has told of and that have not ended."""
        return sorted(int(pid) for pid in set(self.told(kind)) if proc.start_time(int(pid)) is not None)

    def until(self, condition: Callable[[], object], limit: float = LIMIT) -> None:
        """Wait until something holds.

        :raises TimeoutError: it takes too long.
        """
        deadline = syscalls.monotonic() + limit
        while not condition():
            if syscalls.monotonic() > deadline:
                raise TimeoutError(f"it hangs; its output is:\n{self.output}")
            syscalls.sleep(PAUSE)

    def one_of(self, look: Callable[[], list[int]]) -> list[int]:
        """Wait until there are such processes.

        :raises Missed: the run ended.
        :raises TimeoutError: it takes too long.
        """
        found: list[int] = []

        def is_there() -> bool:
            found[:] = look()
            return bool(found) or self.has_ended

        self.until(is_there)
        if self.has_ended:
            raise Missed("the run had ended")
        return found

    def processes(self) -> Iterator[int]:
        """Yield each process that the run has started, or one of these, and so on."""
        return (int(pid) for pid in filter(str.isdecimal, os.listdir("/proc")) if self.has(int(pid)))

    def has(self, pid: int) -> bool:
        """Whether it has started a process that has not ended."""
        try:
            is_ours = f"CHAOS_TOKEN={self.token}\0".encode() in Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False
        return is_ours and proc.start_time(pid) is not None
