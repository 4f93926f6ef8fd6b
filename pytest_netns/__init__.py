"""A pytest plugin for tests of networking code in throwaway Linux network namespaces."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ._capture.capture import Capture
    from ._child.mode_names import CallModeName, ChildModeName
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
        ProgramDiedError,
        RulesetError,
        UnpicklableError,
    )
    from ._frames.frame import Frame
    from ._netns.listening import listening
    from ._netns.namespace import MakeNetNS, NetNS
    from ._netns.notified import inherited, notified
    from ._netns.sysctl import Sysctl
    from ._netns.written import output
    from ._snapshot.changes import Changes
    from ._snapshot.snapshot import Snapshot
    from ._topology.errors import TopologyError
    from ._topology.host import Host, Interface
    from ._topology.naming.dns import DNSServer, Query
    from ._topology.pair import NetNSPair
    from ._topology.topology import MakeTopology, Topology
    from ._topology.translating.nat import Nat

    __version__: str

__all__ = [
    "CallModeName",
    "Capture",
    "Changes",
    "ChildCallError",
    "ChildDiedError",
    "ChildModeError",
    "ChildModeName",
    "ChildProtocolError",
    "DNSServer",
    "Frame",
    "Host",
    "Interface",
    "MakeNetNS",
    "MakeTopology",
    "Nat",
    "NetNS",
    "NetNSClosedError",
    "NetNSError",
    "NetNSExistsError",
    "NetNSLeakError",
    "NetNSLimitError",
    "NetNSOSError",
    "NetNSPair",
    "NetNSPermissionError",
    "NetNSTimeoutError",
    "NetNSUnsupportedError",
    "ProgramDiedError",
    "Query",
    "RulesetError",
    "Snapshot",
    "Sysctl",
    "Topology",
    "TopologyError",
    "UnpicklableError",
    "inherited",
    "listening",
    "notified",
    "output",
]


if not TYPE_CHECKING:  # to a type checker, a module with this function has every name

    def __getattr__(name: str) -> object:
        # Imported on first use (PEP 562): the plugin is loaded into every run of pytest, also those that never use it,
        # and the resident child imports this package as well.
        if name == "__version__":
            from importlib.metadata import version

            return version("pytest-netns")
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        where = {
            "CallModeName": "_child.mode_names",
            "Capture": "_capture.capture",
            "Changes": "_snapshot.changes",
            "ChildModeName": "_child.mode_names",
            "MakeNetNS": "_netns.namespace",
            "NetNS": "_netns.namespace",
            "DNSServer": "_topology.naming.dns",
            "Frame": "_frames.frame",
            "Host": "_topology.host",
            "Interface": "_topology.host",
            "MakeTopology": "_topology.topology",
            "Nat": "_topology.translating.nat",
            "NetNSPair": "_topology.pair",
            "Query": "_topology.naming.dns",
            "Snapshot": "_snapshot.snapshot",
            "Sysctl": "_netns.sysctl",
            "Topology": "_topology.topology",
            "TopologyError": "_topology.errors",
            "inherited": "_netns.notified",
            "listening": "_netns.listening",
            "notified": "_netns.notified",
            "output": "_netns.written",
        }
        return getattr(import_module(f"{__name__}.{where.get(name, '_errors')}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})
