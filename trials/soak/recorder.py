"""A plugin of pytest that repeats the tests of the soak, and writes down what the process has after every so many."""

from __future__ import annotations

import gc
import json
import os
import random
import time
from pathlib import Path
from typing import Any

import pytest

from pytest_netns._plugin.keys import session_key

PATIENCE = 60.0  # seconds


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--soak-tests", type=int)
    parser.addoption("--soak-seed", type=int)
    parser.addoption("--soak-every", type=int)
    parser.addoption("--soak-into", type=Path)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "soak(weight): how many of a thousand tests are of this kind")
    if hasattr(config, "workerinput") or not config.getoption("numprocesses", None):
        config.pluginmanager.register(Recorder(config))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("soak")
    if marker is not None:
        modes = metafunc.definition.get_closest_marker("netns_child_mode")
        count = metafunc.config.getoption("soak_tests") * marker.args[0] / 1000 / len(modes.args if modes else "x")
        metafunc.fixturenames.append("soak_round")
        metafunc.parametrize("soak_round", range(max(1, round(count))))


@pytest.fixture
def soak_round(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    random.Random(config.getoption("soak_seed")).shuffle(items)


class Recorder:
    """Writes a line of JSON after every so many tests of this process."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._count = 0
        self._every = config.getoption("soak_every")
        self._file = config.getoption("soak_into") / f"{os.environ.get('PYTEST_XDIST_WORKER', 'main')}.jsonl"

    def pytest_runtest_logfinish(self) -> None:
        self._count += 1
        if self._count % self._every == 0:
            with self._file.open("a") as file:
                print(json.dumps({"tests": self._count, **self._state()}), file=file)

    def _state(self) -> dict[str, Any]:
        gc.collect()
        session = self._config.stash.get(session_key, None)
        resident = None if session is None else session.modes.resident.pid
        _wait_until_idle(resident)
        mine, its = _descriptors(os.getpid()), _descriptors(resident)
        return {
            "descriptors": len(mine),
            "threads": len(os.listdir("/proc/self/task")),
            "children": sum(len((task / "children").read_text().split()) for task in Path("/proc/self/task").iterdir()),
            "namespaces": len({target for target in mine + its if target.startswith("net:[")}),
            "names": len([*Path("/run/netns").glob(f"soak*{os.environ.get('PYTEST_XDIST_WORKER', '')}")]),
            "memory": _memory(os.getpid()),
            "descriptors of the resident child": len(its),
            "memory of the resident child": _memory(resident),
        }


def _wait_until_idle(pid: int | None) -> None:
    """Wait until the resident child has let go of what was closed, and made the next namespace: then it sleeps."""
    deadline = time.monotonic() + PATIENCE
    while pid is not None and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "S":
        assert time.monotonic() < deadline, "the resident child is never idle"
        time.sleep(0.001)


def _descriptors(pid: int | None) -> list[str]:
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir() if pid is not None else ():
        try:
            found.append(os.readlink(entry))
        except FileNotFoundError:
            continue  # that of the listing itself
    return found


def _memory(pid: int | None) -> float:
    """Return the resident memory of a process in MB."""
    if pid is None:
        return 0.0
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 1e6
