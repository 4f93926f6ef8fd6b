"""What a run does before it has tests: it enters a user namespace, or a network namespace, and says so."""

from __future__ import annotations

import os

import pytest

from .._errors import NetNSError
from .isolation import wanted_of
from .keys import settings_key
from .settings import Settings

entered_key = pytest.StashKey[bool]()
"""Whether this process is where the settings ask for; it may have moved before the conftest files were read."""


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Enter a user namespace before there is any thread, and before anything of the tests is imported."""
    given = early_config.known_args_namespace
    if not given.help and not given.version:
        _enter(early_config, Settings.from_config(early_config, early=True))


def pytest_configure(config: pytest.Config) -> None:
    _enter(config, config.stash[settings_key])
    if entered_key in config.stash:
        wanted_of(config)


def _enter(config: pytest.Config, settings: Settings) -> None:
    if entered_key in config.stash or (settings.userns != "process" and settings.isolate == "off"):
        return
    config.stash[entered_key] = True
    from .._isolation import startup
    from .._linux import entering

    try:
        original = startup.enter(settings.userns, settings.isolate, config.known_args_namespace)
    except NetNSError as error:
        raise pytest.UsageError(str(error)) from None
    if original is not None:
        config.add_cleanup(lambda: os.close(original))
        config.add_cleanup(lambda: entering.enter(original, startup.ORIGINAL))
        if startup.is_worker():
            _configure_plugins_outside(config, original)


def _configure_plugins_outside(config: pytest.Config, original: int) -> None:
    """Let installed plugins be configured outside: pytest-rerunfailures connects a worker to its controller by TCP.

    What conftest files do as they are configured is part of the tests, and stays inside.
    """
    from .._isolation.startup import ORIGINAL
    from .._linux import entering, syscalls

    inside = syscalls.open_own_namespace()
    config.add_cleanup(lambda: os.close(inside))

    class Out:
        # Before the plugins and after the conftest files, since those registered last are called first.
        def pytest_configure(self) -> None:
            entering.enter(original, ORIGINAL)

    class In:
        @pytest.hookimpl(trylast=True)
        def pytest_configure(self) -> None:
            entering.enter(inside, "the namespace of the worker")

    for part in (Out(), In()):
        config.pluginmanager.register(part)


def pytest_report_header(config: pytest.Config) -> str:
    from .._isolation import startup

    settings = config.stash[settings_key]
    try:
        return f"netns: {startup.text(settings.userns, settings.isolate)}"
    except OSError as error:
        return f"netns: not possible, since /proc cannot be read ({error.strerror})"
