"""A fixture by which children fail: see ``sabotage.py``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from multiprocessing import forkserver, resource_tracker
from pathlib import Path

import pytest

import pytest_netns
from pytest_netns._child.resident import process
from tests.support import sabotage

Sabotage = Callable[..., None]


@pytest.fixture
def sabotaging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sabotage]:
    """Let the children of a mode fail at a step, or, without arguments, do well again."""
    resource_tracker.ensure_running()  # it is to be no child that a test finds left
    order = tmp_path / "order"
    (tmp_path / "sitecustomize.py").write_text(
        "import os, sabotage\n"
        "sabotage.apply('spawned')\n"
        "os.register_at_fork(after_in_child=lambda: sabotage.apply('forked'))\n"
    )
    monkeypatch.setenv("SABOTAGE", str(order))
    monkeypatch.setenv("SABOTAGE_PACKAGE", str(Path(pytest_netns.__file__).parents[1]))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), str(Path(sabotage.__file__).parent)]))
    monkeypatch.setattr(process, "COMMAND", (sys.executable, "-I", "-S", str(sabotage.__file__)))

    def set_order(mode: str = "", step: str = "", action: str = "") -> None:
        if mode == "mp:forkserver":
            forkserver._forkserver._stop()  # type: ignore[attr-defined]  # the next one runs sitecustomize
            order.write_text("")
            forkserver.ensure_running()
        child = {"resident": "resident", "mp:spawn": "spawned"}.get(mode, "forked")
        if mode == "resident" and step == "start":
            child = "resident-start"
        order.write_text(f"{child} {step} {action}")

    yield set_order
    order.unlink(missing_ok=True)
    forkserver._forkserver._stop()  # type: ignore[attr-defined]
