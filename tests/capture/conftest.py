"""What the tests of captures need: a recorder that runs, and tshark."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_netns import MakeNetNS

Shark = Callable[..., list[str]]


@pytest.fixture(scope="session", autouse=True)
def _recorder(netns_factory: MakeNetNS) -> None:
    """Have the recorder run, which lives as long as the session, before what is there is counted."""
    with netns_factory("warm-up") as ns:
        ns.capture().close()


@pytest.fixture
def tshark() -> Shark:
    """Read a file by tshark; return a line for each packet, with the fields that are named, divided by tabs."""
    program = shutil.which("tshark")
    if program is None:
        pytest.skip("tshark is not installed: apt-get install tshark")

    def read(path: str | os.PathLike[str], *fields: str, only: str = "") -> list[str]:
        assert program is not None
        named = [word for field in fields for word in ("-e", field)]
        options = ["-Y", only] if only else []
        command = [program, "-r", str(Path(path)), "-T", "fields", *named, *options]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        assert "malformed" not in done.stderr.lower()
        return done.stdout.splitlines()

    return read
