"""How causes are said: the most specific first, not too many, and as the reason only where they can be."""

from __future__ import annotations

import pytest

from pytest_netns import NetNS, NetNSPair
from pytest_netns._linux import syscalls
from pytest_netns._report.diagnosis import failure, why
from pytest_netns._report.diagnosis.case import COUNTED, SEEN, TALKED, TRACED, Case, Finding
from pytest_netns._report.diagnosis.gathering import describe
from pytest_netns._snapshot.start import Start

LATE, OWN = failure.read(TimeoutError()), failure.read(AssertionError("1 == 2"))


def found(rank: int, topic: str = "", host: str = "r1") -> Finding:
    return Finding(rank, (topic or str(rank), host), f"cause {rank}", "mend it")


def lines(of: failure.Failure, *findings: Finding) -> list[str]:
    """Return what is said if this is all that is found."""
    return list(why.lines(Case([], of, 1.0), [lambda case: findings]))


def test_the_most_specific_first() -> None:
    said = lines(LATE, found(SEEN), found(TRACED), found(TALKED))
    assert said == ["why: cause 0", "     mend it", "also: cause 1", "      mend it", "also: cause 3", "      mend it"]


def test_at_most_three() -> None:
    assert lines(LATE, *map(found, (TRACED, TALKED, COUNTED, SEEN)))[-1] == "and 1 more"


def test_the_same_is_said_once() -> None:
    assert len(lines(LATE, found(TRACED, "route"), found(COUNTED, "route"))) == 2


@pytest.mark.parametrize(("host", "more"), [("r1", 0), ("r2", 2)])
def test_what_follows_from_a_cause_at_the_same_host_is_not_said(host: str, more: int) -> None:
    assert len(lines(LATE, found(TRACED, "nft"), found(COUNTED, "neighbour", host))) == 2 + more


def test_nothing_is_known() -> None:
    assert lines(LATE) == ["why: the network knows of nothing that stopped a packet"]
    assert lines(OWN) == []


def test_of_a_test_that_fails_for_its_own_reasons() -> None:
    assert lines(OWN, found(COUNTED), found(SEEN)) == ["meanwhile: cause 2", "           mend it"]


@pytest.mark.parametrize(
    ("error", "is_of_network", "is_late"),
    [
        (AssertionError("timed out"), False, False),
        (FileNotFoundError(2, "no"), False, False),
        (PermissionError(13, "no"), False, False),
        (TimeoutError(), True, True),
        (ConnectionRefusedError(111, "no"), True, False),
        (OSError(113, "no route"), True, False),
        (KeyboardInterrupt(), True, True),
        (ValueError("timed out"), False, False),
    ],
)
def test_what_is_a_failure_of_the_network(error: BaseException, is_of_network: bool, is_late: bool) -> None:
    read = failure.read(error)
    assert (read.is_of_network, read.is_late) == (is_of_network, is_late)


def test_what_a_failure_comes_from_counts_too() -> None:
    error = ValueError("no answer")
    error.__cause__ = TimeoutError()
    assert failure.read(error).is_late


def test_no_namespace_is_changed_and_nothing_is_sent(netns_pair: NetNSPair) -> None:
    before = [ns.snapshot() for ns in netns_pair]
    error = ConnectionRefusedError(111, "refused")
    why, _, _ = describe(list(netns_pair), Start([]), error, netns_pair.left._observed._snapshots)
    assert not any("nobody" in line for line in why)
    for ns, earlier in zip(netns_pair, before, strict=True):
        changes = ns.snapshot().since(earlier)
        assert not list(changes)
        assert not [name for name in changes.counters if "6" not in name]  # the kernel itself sends over IPv6


def test_what_had_been_counted_before_the_test(netns: NetNS) -> None:
    with pytest.raises(ConnectionRefusedError):
        netns.create_connection(("127.0.0.1", 80))
    start = Start([netns])
    try:
        assert start.counted
        told = describe([netns], start, TimeoutError(), netns._observed._snapshots)
        assert told == (["why: the network knows of nothing that stopped a packet"], [], [])
    finally:
        netns.close()


def test_a_start_that_cannot_be_read_is_no_error(netns: NetNS) -> None:
    netns.close()
    start = Start([netns])
    assert (start.counted, start.unknown) == ({}, {netns._handle.key})
    assert start.time <= syscalls.monotonic()
