"""Threads for what has the kernel wait until no processor reads something any more, which may take it 20 ms."""

from __future__ import annotations

import _thread

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MOST = 16  # threads; those that wait at the same time wait for the same thing


class Workers:
    """Calls functions in threads, each of which ends when there is nothing to do."""

    def __init__(self) -> None:
        self._lock = _thread.allocate_lock()
        self._jobs: list[Callable[[], object]] = []
        self._running = 0

    def do(self, job: Callable[[], object]) -> None:
        with self._lock:
            self._jobs.append(job)
            if self._running >= MOST:
                return
            self._running += 1
        try:
            _thread.start_new_thread(self._work, ())
        except RuntimeError:  # the machine has no more (RLIMIT_NPROC, or the limit of its control group)
            self._work()

    def _work(self) -> None:
        while True:
            with self._lock:
                if not self._jobs:
                    self._running -= 1
                    return
                job = self._jobs.pop(0)
            job()
