"""Read the ``topodef`` dicts of FRRouting's topotests, make a network of each, and say of how many that can be done.

    python -m trials.topodefs FOLDER           # FOLDER is tests/topotests of a checkout of FRRouting
    python -m trials.topodefs --read FOLDER    # read them only, which takes no privilege

A dict that several tests have is made once.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from pytest_netns import NetNSError, Topology
from pytest_netns._netns.factory import Session

from .dicts import Found, find


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m trials.topodefs", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="tests/topotests of a checkout of FRRouting")
    parser.add_argument("--read", action="store_true", help="do not make networks, which takes privileges")
    options = parser.parse_args()
    found = list(find(options.folder))
    if not found:
        parser.error(f"there is no topodef below {options.folder}")
    with contextlib.closing(Session()) as session:
        refused = check(found, (lambda net: None) if options.read else (lambda net: make(net, session)))
    for text in refused:
        print(text)
    print(f"{len(found) - len(refused)} of {len(found)} topodef dicts were {'read' if options.read else 'built'}")
    return 1 if refused else 0


def check(found: Iterable[Found], made_from: Callable[[Topology], object]) -> list[str]:
    """Return a text for each dict that is no network of ours, or cannot be made."""
    known: dict[str, str] = {}
    refused = []
    for one in found:
        key = repr(one.lans)
        if key not in known:
            known[key] = _trouble(one, made_from)
        if known[key]:
            refused.append(f"{one.where}: {known[key]}")
    return refused


def _trouble(one: Found, made_from: Callable[[Topology], object]) -> str:
    if one.lans is None:
        return "made by code that is not run"
    try:
        net = Topology.from_lans(one.lans)
        net._planned()
        made_from(net)
    except (NetNSError, TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"
    return ""


def make(net: Topology, session: Session) -> None:
    net._own(lambda kind, options, own: session.make(options, kind=kind, own=own))
    with net:
        pass


if __name__ == "__main__":
    sys.exit(main())
