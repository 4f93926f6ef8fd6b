"""What is told of the namespaces of a test whose process has died.

Its sockets are closed by then, and nobody knows what it had tried: so no cause is worked out from sockets that are
missing. What the kernel counted, what rules dropped, and links, addresses and routes are as the test left them.
"""

from __future__ import annotations

import dataclasses
import marshal
import posix as os  # as in all that might run beside a test
from collections.abc import Iterator, Sequence

from ..._child.reply import OK
from ..._child.resident.journal import Journal
from ..._child.resident.namespaces import Namespace
from ..._child.resident.verbs import Verbs
from ..._handle import Handle
from ..._linux import fdpass, syscalls
from ..._snapshot.raw import Look, Raw
from ..._snapshot.snapshot import Snapshot
from ..diagnosis import changed, counted, failure, why
from ..diagnosis.case import Case, Subject

WHEN = "as it was just after the test process died (its sockets were closed by then):"
TITLE = "what was not as in a new namespace:"
LONGEST_ID = 4096  # bytes
FRESH = 0  # the key of a namespace to compare with
OF_ITS_DEATH = ("TcpEstabResets", "TcpOutRsts", "TcpAttemptFails", "TcpExtTCPAbortOnClose", "TcpExtTCPAbortOnData")
"""What is counted when a process dies: it closes connections, also those with data in them that nobody has read."""


class Inside:
    """Does in this process what the resident child does for others: it enters namespaces, and returns.

    :param original: a descriptor of the namespace of this process.
    """

    def __init__(self, original: int) -> None:
        identity = syscalls.namespace_id(original)
        self.verbs = Verbs(os.getpid(), original, Journal(None), None, True, identity)

    def sockets(
        self,
        handle: Handle,
        specs: Sequence[tuple[int, int, int]],
        received: fdpass.Received,
        timeout: float | None = None,
    ) -> None:
        received.fds += self.verbs.sockets(handle.key, list(specs))[1]

    def read_files(
        self, handle: Handle, paths: Sequence[str], timeout: float, *, with_sysctls: bool
    ) -> tuple[list[bytes], dict[str, bytes]]:
        answer, _ = self.verbs.files.read(handle.key, list(paths), with_sysctls)
        found: tuple[list[bytes], dict[str, bytes]] = marshal.loads(answer.removeprefix(OK))
        return found


def main(parent: str, running: str, out: str, seconds: str, left_out: str, *spaces: str) -> None:
    """Write what there is to tell of namespaces; the arguments are those of a command.

    :param parent: the pid of the process that has started this one, which ends with it.
    :param running: the descriptor of a file that holds the name of the test.
    :param out: that of the file to write to.
    :param seconds: how long it may take.
    :param left_out: how many namespaces more there were.
    :param spaces: for each namespace its descriptor, how much loopback it had, and what it is called.
    """
    syscalls.die_with_parent(int(parent))
    test = os.pread(int(running), LONGEST_ID, 0).partition(b"\0")[0].decode(errors="replace")
    deadline = syscalls.monotonic() + float(seconds)
    told = [*zip(map(int, spaces[::3]), map(int, spaces[1::3]), spaces[2::3], strict=True)]
    more = [f"{left_out} more namespaces were not looked at"] if int(left_out) else []
    text = "\n".join(["", f"network of {test}, {WHEN}", *lines(told, deadline), *more, ""])
    left = text.encode(errors="replace")
    while left:
        left = left[os.write(int(out), left) :]


def lines(spaces: Sequence[tuple[int, int, str]], deadline: float) -> Iterator[str]:
    """Yield the lines of a report on namespaces, each given by a descriptor, its loopback and a label."""
    inside = Inside(syscalls.open_own_namespace())
    fresh: dict[int, Raw] = {}
    subjects: list[Subject] = []
    troubles: list[str] = []
    for key, (fd, lo, label) in enumerate(spaces, FRESH + 1):
        try:
            if lo not in fresh:
                inside.verbs.namespaces[FRESH] = inside.verbs.make_namespace(lo)
                fresh[lo] = _look(inside, FRESH, "a new one", deadline)
            inside.verbs.namespaces[key] = Namespace(fd, 0)
            subjects.append(_subject(_look(inside, key, label, deadline), fresh[lo]))
        except Exception as trouble:
            troubles.append(f"namespace {label!r} could not be looked at: {trouble!r}")
    case = Case(subjects, failure.read(SystemExit()), 0)
    yield from why.lines(case, (counted.find,))
    yield from changed.lines(subjects, TITLE)
    yield from troubles


def _look(inside: Inside, key: int, label: str, deadline: float) -> Raw:
    with Look(inside, Handle(key, label, deadline - syscalls.monotonic()), deadline) as look:
        return look.take()


def _subject(now: Raw, fresh: Raw) -> Subject:
    # Who makes the interfaces of a network sets this, to know their addresses.
    planned = {key: value for key, value in now.sysctls.items() if key.endswith(".addr_gen_mode")}
    defaults = {**fresh.sysctls, **planned}
    snapshot = Snapshot(now, defaults)
    before = Snapshot(dataclasses.replace(fresh, sysctls=defaults), defaults)
    uncertain = {name: snapshot.counters[name] for name in OF_ITS_DEATH if name in snapshot.counters}
    return Subject(f"namespace {now.label!r}", snapshot, before, uncertain, {})
