"""What is added to the report of a failed test that had no network, or not the one that it needed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .._errors import is_meant
from .._isolation import startup, wanted
from .._netns import groups
from .isolation import is_marked
from .keys import attempts_key, isolation_key, scope_key, settings_key, wanted_key

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

GROUPS = {
    4: "ip link set lo multicast on, ip route add 224.0.0.0/4 dev lo, "
    "ip route add broadcast 255.255.255.255 dev lo table local",
    6: "ip -6 route add local ff00::/8 dev lo table local",
}
"""The commands that let loopback take multicast and broadcast, for each version of IP."""


def of(item: pytest.Item, text: str) -> Iterator[str]:
    """Yield what explains a failure that has to do with where the test was.

    :param text: of the report.
    """
    scope = item.stash.get(scope_key, None)
    isolate = item.config.stash[settings_key].isolate
    where = startup.where_without_network(isolate, scope=scope, is_marked=is_marked(item))
    noted = item.config.stash.get(wanted_key, None)
    if where and noted is not None:
        note = noted.note(text)
        if note:
            yield f"this test ran {where}: nothing outside can be reached; {note}"
        if scope is not None and wanted.lacks_a_name(text) and not noted.has_heard_a_name:
            yield from _of_threads(item)


def _of_threads(item: pytest.Item) -> Iterator[str]:
    """Name threads that may have looked a name up in another namespace."""
    isolation = item.config.stash.get(isolation_key, None)
    names = [] if isolation is None else isolation.elsewhere()
    if names:
        yield (
            "threads that were not started by Python are inside the namespace of an earlier test, and look up names "
            f"there: {', '.join(names)}. Let these tests share a namespace: scope='session' where they have the "
            "marker, else --netns-isolate=session or worker"
        )


def of_plain(item: pytest.Item, error: BaseException) -> Iterator[str]:
    """Yield what explains a failure in a namespace that was made without a link.

    :param error: by which the test has failed.
    """
    attempts = item.config.stash.get(attempts_key, None)
    version = 0 if attempts is None else groups.unreached(error, attempts.last)
    if version:
        yield (
            "a new namespace has no link but lo, and no route for multicast or broadcast, nor has a host of a network "
            "one for those of IPv4. Give it a route over a link, such as 224.0.0.0/4 or ff00::/8 dev eth0, or isolate "
            f"the test by @pytest.mark.netns_isolate, or let loopback do: {GROUPS[version]}"
        )
