"""A run of a suite, on what looks like a machine and reaches nothing: a network namespace."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .suites import Environment

TIME_LIMIT = 900  # seconds for one run of a suite
OPTIONS = (
    "-q",
    "--override-ini=addopts=",
    "-p",
    "no:cacheprovider",
    "-p",
    "foreign_outcomes",
)
# Suites ask names and send multicast, and none of it is to leave this machine. To them it is to look like any other: it
# has an address that is not of loopback, a way for multicast, and a localhost of both families.
HOSTS = "127.0.0.1 localhost\n::1 localhost\n"
MACHINE = """
mount --bind "$0" /etc/hosts
ip link set lo up
ip link add eth0 type veth peer name eth1
ip link set eth0 up
ip link set eth1 up
ip address add 192.0.2.1/24 dev eth0
ip address add 2001:db8::1/64 dev eth0 nodad
ip route add 224.0.0.0/4 dev eth0
exec "$@"
"""


@dataclass
class Result:
    """What a run of a suite came to.

    :param outcomes: of each test: passed, skipped, xfailed or failed.
    :param reasons: of what failed.
    :param seconds: how long it took.
    :param trouble: why it did not come to its end, if so.
    """

    outcomes: dict[str, str]
    reasons: dict[str, str]
    seconds: float
    trouble: str = ""

    def count(self, outcome: str) -> int:
        return sum(value == outcome for value in self.outcomes.values())


def run(environment: Environment, options: Sequence[str], tests: Sequence[str] = ()) -> Result:
    """Run a suite, or these tests of it."""
    suite = environment.suite
    with tempfile.TemporaryDirectory(prefix="foreign-") as folder:
        outcomes, output = Path(folder) / "outcomes", Path(folder) / "output"
        deselected = [f"--deselect={test}" for test in suite.without]
        command = [
            str(environment.bin / "python"),
            "-m",
            "pytest",
            *OPTIONS,
            *environment.options,
            *options,
            *deselected,
        ]
        command += [f"--basetemp={folder}/temp", *(tests or suite.tests)]
        began = time.monotonic()
        with output.open("w") as file:
            hosts = Path(folder) / "hosts"
            hosts.write_text(HOSTS)
            ended = _wait(_machine(hosts, command), environment, str(outcomes), file)
        result = _read(outcomes, time.monotonic() - began)
        if ended not in (0, 1):
            how = f"it was stopped after {TIME_LIMIT} s" if ended is None else f"it ended with {ended}"
            result.trouble = f"{how}:\n{output.read_text(errors='replace')[-3000:]}"
        return result


def _machine(hosts: Path, command: list[str]) -> list[str]:
    mapped = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return ["unshare", "--net", "--mount", *mapped, "sh", "-e", "-c", MACHINE, str(hosts), *command]


def _wait(command: list[str], environment: Environment, outcomes: str, output: IO[str]) -> int | None:
    """Return how a command ended, or ``None`` if it took too long."""
    variables = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "PYTHON"))}
    variables["PATH"] = f"{environment.bin}:{os.environ['PATH']}"
    variables["FOREIGN_OUTCOMES"] = outcomes
    process = subprocess.Popen(
        command,
        cwd=environment.source,
        env=variables,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    try:
        return process.wait(TIME_LIMIT)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _read(path: Path, seconds: float) -> Result:
    result = Result({}, {}, seconds)
    for line in path.read_text().splitlines() if path.exists() else ():
        test, when, outcome, reason = json.loads(line)
        if outcome == "failed":
            result.reasons.setdefault(test, f"{when}: {reason}")
        if result.outcomes.get(test) != "failed" and not (test in result.outcomes and when == "teardown"):
            result.outcomes[test] = outcome
    return result
