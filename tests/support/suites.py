"""The suites that tests run: files of their own, in a folder ``suites`` beside the test module."""

from __future__ import annotations

from pathlib import Path

PLUGINS_BY_NAME = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": "-p netns -p xdist"}
"""The environment of a run in which a test runs a suite: it loads our plugin, pytest-xdist, and those that it names."""
ASYNCIO = ("-p", "pytest_asyncio.plugin", "-o", "asyncio_default_fixture_loop_scope=function")


def read_suite(module: str, name: str) -> str:
    """Return the source of a suite.

    :param module: the ``__file__`` of the test module.
    """
    return Path(module).with_name("suites").joinpath(f"{name}.py").read_text()
