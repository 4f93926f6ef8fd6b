"""The suites that tests run: files of their own, in a folder ``suites`` beside the test module."""

from __future__ import annotations

from pathlib import Path


def read_suite(module: str, name: str) -> str:
    """Return the source of a suite.

    :param module: the ``__file__`` of the test module.
    """
    return Path(module).with_name("suites").joinpath(f"{name}.py").read_text()
