"""The plugin: one plugin of pytest for each feature, registered from the innermost to the outermost.

Of hooks that wrap a test, that of the plugin which was registered last is the outermost.
"""

from __future__ import annotations

import pytest

from ._plugin import (
    artifacts,
    attempts,
    capture,
    durations,
    evidence,
    fixtures,
    isolation,
    keep,
    leaks,
    modes,
    reporting,
    requirements,
    settings,
    startup,
    time_limits,
    topologies,
    witness,
)

FEATURES = (
    settings,
    requirements,
    modes,
    attempts,
    fixtures,
    topologies,
    reporting,
    keep,
    capture,
    artifacts,
    durations,
    leaks,
    evidence,
    witness,
    time_limits,
    isolation,
    startup,
)


def pytest_addoption(pluginmanager: pytest.PytestPluginManager) -> None:
    for feature in FEATURES:
        pluginmanager.register(feature, f"netns_{feature.__name__.rpartition('.')[2]}")
