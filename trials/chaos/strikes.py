"""What disturbs a run: something is killed, or interrupted, or runs short for a while."""

from __future__ import annotations

import contextlib
import os
import random
import re
import resource
import signal

from pytest_netns._linux import syscalls

from . import shortage
from .run import PAUSE, Missed, Run
from .victims import children_of, mode_children, witnesses

DOUBLE = "pytest and its resident child"
RECORDER = "recorder"
WITNESS = "witness"
LOOK = 2.0  # seconds for a witness: a fifth of --netns-child-timeout
CTRL_C = "Ctrl-C"
ALARM = "alarm"
DESCRIPTORS = "descriptors"
PROCESSES = "processes"
NAMESPACES = "namespaces"
FULL = "full"
READ_ONLY = "read-only"
# CPython before 3.11.8 and 3.12.2 miscounts after an error within ast.parse (gh-106905), and pytest ends by that.
MISCOUNTED = "SystemError: AST constructor recursion depth mismatch"
NO_NAME = re.compile("bind the name .*EROFS")
LOST_RECORDER = re.compile(r"the recorder (?:ended|did not answer|answered garbage)")
OF_A_WORKER = {"worker", WITNESS}  # kinds that take several workers
RECORDED = {RECORDER}  # kinds that take captures


class Strike:
    """What happens to a run.

    :param drawn: what it draws by.
    :param is_recorded: whether the run has a recorder.
    """

    kinds: tuple[str, ...] = ()
    codes: tuple[int, ...] = (0, 1)
    ends_keepers = False
    """Whether it may hit a resident child that stays with what is kept."""
    ends_pytest = False
    """Whether it may hit a pytest that would have told what is kept."""
    ends_recorders = False
    delay = 0.0
    """Seconds by which the end of what it has hit may be later."""

    def __init__(self, kind: str, drawn: random.Random, *, in_workers: bool, is_recorded: bool) -> None:
        self.kind = kind
        self.random = drawn
        self.in_workers = in_workers
        self.is_recorded = is_recorded
        self.env: dict[str, str] = {}
        self.under: list[str] = []
        self.userns: str | None = None  # where it takes a certain one

    def strike(self, run: Run) -> None:
        """Do it.

        :raises Missed: there was nothing to do it to.
        """
        raise NotImplementedError

    def wrong(self, run: Run) -> list[str]:
        """Return what is wrong with how a run has ended: it says clearly what failed, and never stops half-way."""
        if MISCOUNTED in run.output:
            return []
        wrong = [f"unclear: {error}" for error in run.told("unclear")]
        if not self.ends_recorders:
            wrong += LOST_RECORDER.findall(run.output)
        if "INTERNALERROR" in run.output:
            wrong.append("an INTERNALERROR")
        if run.process.returncode not in self.codes:
            wrong.append(f"it ended with {run.process.returncode}")
        return [*wrong, f"its output ends in:\n{run.output[-3000:]}"] if wrong else []


class Kill(Strike):
    """SIGKILL of one process, at most the test that it hits fails."""

    kinds = ("controller", "worker", "resident child", "mode child", "command", DOUBLE)

    def __init__(self, kind: str, drawn: random.Random, *, in_workers: bool, is_recorded: bool) -> None:
        super().__init__(kind, drawn, in_workers=in_workers, is_recorded=is_recorded)
        self.ends_keepers = kind in ("resident child", DOUBLE)
        self.ends_pytest = kind in ("controller", "worker", DOUBLE)

    def strike(self, run: Run) -> None:
        while not self._kill(run, run.one_of(lambda: self._victims(run))):
            syscalls.sleep(PAUSE)

    def _victims(self, run: Run) -> list[int]:
        if self.kind == "mode child":
            return mode_children(run)
        told = {"worker": "workers", "resident child": "residents", "command": "commands"}.get(self.kind)
        return [run.pid] if told is None else run.alive(told)

    def _kill(self, run: Run, victims: list[int]) -> bool:
        """Kill one of these processes; return whether there was one that had not ended."""
        pids = [self.random.choice(victims)]
        try:
            if self.kind == DOUBLE:
                pids += run.alive("residents")
                for pid in pids:
                    os.kill(pid, signal.SIGSTOP)  # so that neither acts on the other's end
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            return False
        return True

    def wrong(self, run: Run) -> list[str]:
        if self.kind in ("controller", DOUBLE) or (self.kind == "worker" and not self.in_workers):
            return []
        failed = _failed(run)
        crashed = self.kind == "worker"
        is_another = crashed and failed and "crashed" not in run.output
        if run.process.returncode not in self.codes or failed > 1 or is_another:
            return [f"the run ended with {run.process.returncode}:\n{run.output[-3000:]}"]
        return []


class Beside(Strike):
    """What records a run, or looks at what a dead test has left, is killed or stopped; no test fails by that."""

    kinds = (RECORDER, WITNESS)
    ends_recorders = True

    def __init__(self, kind: str, drawn: random.Random, *, in_workers: bool, is_recorded: bool) -> None:
        super().__init__(kind, drawn, in_workers=in_workers, is_recorded=is_recorded)
        self._signal = drawn.choice([signal.SIGKILL, signal.SIGSTOP])
        self._crashes = 0
        self.ends_pytest = kind == WITNESS
        self.delay = LOOK if kind == WITNESS else 0.0

    def strike(self, run: Run) -> None:
        look = self._witnesses if self.kind == WITNESS else lambda run: run.alive("recorders")
        while True:
            try:
                os.kill(self.random.choice(run.one_of(lambda: look(run))), self._signal)
            except ProcessLookupError:
                continue
            return

    def _witnesses(self, run: Run) -> list[int]:
        """Kill a worker; wait for a program that looks, or for the end of its resident child, which has had none."""
        workers = run.alive("workers")
        if not workers:
            return []
        worker = self.random.choice(workers)
        residents = sorted(children_of(worker).intersection(run.alive("residents")))
        with contextlib.suppress(ProcessLookupError):
            os.kill(worker, signal.SIGKILL)
            self._crashes += 1
        while not (found := witnesses(residents)) and set(residents).intersection(run.alive("residents")):
            syscalls.sleep(PAUSE)
        return found

    def wrong(self, run: Run) -> list[str]:
        failed = _failed(run)
        too_many = [f"{failed} tests have failed"] if failed > self._crashes else []
        return super().wrong(run) + too_many


class Interrupt(Strike):
    """Ctrl-C, once or twice; a program that ignores SIGTERM is there."""

    kinds = (CTRL_C,)
    ends_pytest = True
    codes = (0, 1, 2, -signal.SIGINT)

    def __init__(self, kind: str, drawn: random.Random, *, in_workers: bool, is_recorded: bool) -> None:
        super().__init__(kind, drawn, in_workers=in_workers, is_recorded=is_recorded)
        self.env = {"CHAOS_STUBBORN": "1"}
        self._is_for_all = drawn.random() < 0.5
        self._gaps = [drawn.uniform(0, 1) for _ in range(drawn.choice([0, 0, 1]))]

    def strike(self, run: Run) -> None:
        send = os.killpg if self._is_for_all else os.kill  # a terminal sends it to all that are in the foreground
        if run.has_ended:
            raise Missed("the run had ended")
        send(run.pid, signal.SIGINT)
        for gap in self._gaps:
            _wait(run, gap)
            if not run.has_ended:
                send(run.pid, signal.SIGINT)


class Alarm(Strike):
    """A signal handler that raises in the midst of a test, up to five times; only these tests may fail."""

    kinds = (ALARM,)

    def __init__(self, kind: str, drawn: random.Random, *, in_workers: bool, is_recorded: bool) -> None:
        super().__init__(kind, drawn, in_workers=in_workers, is_recorded=is_recorded)
        self.env = {"CHAOS_STUBBORN": "1"}
        self._gaps = [drawn.uniform(0, 0.5) for _ in range(drawn.randrange(1, 6))]

    def strike(self, run: Run) -> None:
        for gap in self._gaps:
            self._ring(run, len(run.told("rung")))
            _wait(run, gap)

    def _ring(self, run: Run, before: int) -> None:
        run.until(lambda: run.has_ended or self._has_rung(run, before))

    def _has_rung(self, run: Run, before: int) -> bool:
        """Send the signal once more, unless it has rung; it does not outside a test."""
        if len(run.told("rung")) > before:
            return True
        with contextlib.suppress(ProcessLookupError, IndexError):  # there is no worker at that moment
            os.kill(self.random.choice(run.alive("workers")), signal.SIGALRM)
        return False

    def wrong(self, run: Run) -> list[str]:
        hit = set(run.told("rung"))
        others = [error for error in run.told("errors") if error.partition(" ")[0] not in hit]
        return super().wrong(run) + [f"not hit, and yet: {error}" for error in others]


class Shortage(Strike):
    """Something is short for a while; when that is over, everything works again."""

    kinds = (DESCRIPTORS, PROCESSES, NAMESPACES, FULL)

    def __init__(self, kind: str, drawn: random.Random, *, in_workers: bool, is_recorded: bool) -> None:
        super().__init__(kind, drawn, in_workers=in_workers, is_recorded=is_recorded)
        self.env = {"CHAOS_PASSES": "1"}
        self._room = drawn.randrange(8)
        self._duration = drawn.uniform(0, 1.5)
        victims = ["workers", "residents", *(["recorders"] if is_recorded else [])]
        self._victims = drawn.choice(victims) if kind == DESCRIPTORS else "workers"
        if kind == NAMESPACES:
            self.userns = "process"
        if kind == FULL:
            self.under = shortage.IN_A_SMALL_RUN
            self.env |= shortage.SMALL

    def strike(self, run: Run) -> None:
        try:
            with self._short(run):
                _wait(run, self._duration)
        finally:
            (run.folder / "over").touch()

    def _short(self, run: Run) -> contextlib.AbstractContextManager[None]:
        if self.kind == FULL:
            small = shortage.small(run)
            run.hold(small / "run", small / "tmp")
            return shortage.of_space(small)
        victim = self.random.choice(run.one_of(lambda: run.alive(self._victims)))
        if self.kind == NAMESPACES:
            return shortage.of_namespaces(victim, self._room)
        if self.kind == PROCESSES:
            return shortage.of(resource.RLIMIT_NPROC, victim, shortage.threads(run) + self._room)
        return shortage.of(resource.RLIMIT_NOFILE, victim, len(os.listdir(f"/proc/{victim}/fd")) + self._room)

    def wrong(self, run: Run) -> list[str]:
        after = [error for error in run.told("errors") if error.startswith("test_after")]
        return super().wrong(run) + [f"though it was over: {error}" for error in after]


class ReadOnly(Strike):
    """Wherever records and names could be, nothing can be written from the start."""

    kinds = (READ_ONLY,)

    def __init__(self, kind: str, drawn: random.Random, *, in_workers: bool, is_recorded: bool) -> None:
        super().__init__(kind, drawn, in_workers=in_workers, is_recorded=is_recorded)
        self.under = shortage.IN_A_READ_ONLY_RUN
        self.env = shortage.SMALL

    def strike(self, run: Run) -> None:
        pass

    def wrong(self, run: Run) -> list[str]:
        others = [error for error in run.told("errors") if not NO_NAME.search(error)]
        return super().wrong(run) + [f"it has nothing to do with names: {error}" for error in others]


STRIKES: tuple[type[Strike], ...] = (Kill, Beside, Interrupt, Alarm, Shortage, ReadOnly)


def all_kinds() -> list[str]:
    return [kind for strike in STRIKES for kind in strike.kinds]


def possible_kinds() -> list[str]:
    """Return the kinds that this user can have; of those, one is drawn for each round."""
    # Of root, the kernel limits no processes. What only the next start undoes is asked for by its name.
    left_out = [DOUBLE] if os.geteuid() else [DOUBLE, PROCESSES]
    return [kind for kind in all_kinds() if kind not in left_out]


def make_strike(kind: str, drawn: random.Random, *, in_workers: bool, is_recorded: bool) -> Strike:
    """Return what happens in a round of a kind."""
    made = next(strike for strike in STRIKES if kind in strike.kinds)
    return made(kind, drawn, in_workers=in_workers, is_recorded=is_recorded)


def _failed(run: Run) -> int:
    """Return how many tests have failed that were not to."""
    counts = re.findall(r"(\d+) (?:failed|errors?)\b", run.output.splitlines()[-1])
    return max(0, sum(map(int, counts)) - len(set(run.told("purposes"))))


def _wait(run: Run, seconds: float) -> None:
    deadline = syscalls.monotonic() + seconds
    while not run.has_ended and syscalls.monotonic() < deadline:
        syscalls.sleep(PAUSE)
