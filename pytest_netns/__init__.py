"""A pytest plugin for tests of networking code in throwaway Linux network namespaces."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._errors import (
        ChildCallError,
        ChildDiedError,
        ChildModeError,
        ChildProtocolError,
        NetNSClosedError,
        NetNSError,
        NetNSExistsError,
        NetNSLeakError,
        NetNSLimitError,
        NetNSOSError,
        NetNSPermissionError,
        NetNSTimeoutError,
        NetNSUnsupportedError,
        UnpicklableError,
    )
    from ._netns.namespace import MakeNetNS, NetNS

__all__ = [
    "ChildCallError",
    "ChildDiedError",
    "ChildModeError",
    "ChildProtocolError",
    "MakeNetNS",
    "NetNS",
    "NetNSClosedError",
    "NetNSError",
    "NetNSExistsError",
    "NetNSLeakError",
    "NetNSLimitError",
    "NetNSOSError",
    "NetNSPermissionError",
    "NetNSTimeoutError",
    "NetNSUnsupportedError",
    "UnpicklableError",
]


def __getattr__(name: str) -> object:
    # Imported on first use (PEP 562): the plugin is loaded into every run of pytest, also those that never use it, and
    # the resident child imports this package as well.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module = import_module("._netns.namespace" if name in ("MakeNetNS", "NetNS") else "._errors", __name__)
    value: object = getattr(module, name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
