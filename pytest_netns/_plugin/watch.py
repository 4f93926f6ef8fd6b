"""What begins where a test first uses a namespace, and ends with the test: its child mode, and the leak check."""

from __future__ import annotations

import contextlib
import posix
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from .._child import DEFAULT

if TYPE_CHECKING:
    from .._leaks.guard import Guard, Owner
    from .._leaks.state import State
    from .._originals import Originals

__tracebackhide__ = True  # a failed test's report ends in the test; --full-trace shows the rest

CANNOT = "the leak check is not possible, and this is said once"


class Watch:
    """Watches the tests, one after the other, each from its first use of a namespace on.

    :param mode: the child mode of a test that names none.
    :param thread_timeout: how long a thread may take to end, in seconds.
    :param checks_leaks: whether there is a leak check.
    :param originals: what modules are imported with.
    :param wider: as of :class:`Guard`.
    :param say: told once why the leak check is not possible.
    """

    def __init__(
        self,
        mode: str,
        thread_timeout: float,
        originals: Originals,
        wider: Callable[[], list[Any]],
        say: Callable[[str], object],
        *,
        checks_leaks: bool,
    ) -> None:
        self._default = mode
        self._thread_timeout = thread_timeout
        self._checks_leaks = checks_leaks
        self._originals = originals
        self._wider = wider
        self._say = say
        self._has_said = False
        self._guard: Guard | None = None
        self._before: State | None = None
        self._undo = contextlib.ExitStack()
        self._runs = self._has_begun = self._is_to_begin = False
        self._depth = 0  # fixtures of a wider scope that are being set up
        self._home = -1
        self._place: tuple[int, int] | None = None
        self._owner: Owner | None = None
        self.mode = mode
        """The child mode of the test that runs."""

    def close(self) -> None:
        home, self._home = self._home, -1
        if home >= 0:
            posix.close(home)

    def own(self, owner: Owner) -> None:
        """Know what lives longer than a test."""
        self._owner = owner
        if self._guard is not None:
            self._guard.owner = owner

    def start(self, mode: str | None) -> None:
        """Take note of a test that is about to be set up.

        :param mode: the child mode that it names, if it does.
        """
        self.mode = mode or self._default
        self._runs = True
        self._has_begun = self._is_to_begin = False
        self._place = None
        if self._home < 0:  # while the main thread is still where it belongs
            with contextlib.suppress(OSError):  # said if a test uses namespaces
                self._open_home()

    def _open_home(self) -> None:
        from .._linux import syscalls

        self._home = syscalls.open_own_namespace()

    def begin(self, *, late: bool = True) -> None:
        """Let the test begin to use namespaces, unless it has; not as long as a fixture of a wider scope is set up.

        :param late: its set-up has begun, and the main thread may be inside of something.
        """
        self._is_to_begin = self._runs and not self._has_begun
        if not self._is_to_begin or self._depth:
            return
        self._has_begun = True
        if self.mode != DEFAULT:
            with self._originals.in_place():
                from .._netns.factory import others_in

                self._undo.enter_context(others_in(self.mode))
        if self._checks_leaks:
            with self._said_if_impossible():
                self._before = self._known_guard().look()
                if late:
                    self._before.namespace = self._place or self._known_guard().home

    def _known_guard(self) -> Guard:
        if self._guard is None:
            if self._home < 0:
                self._open_home()
            with self._originals.in_place():
                from .._leaks.guard import Guard

                self._guard = Guard(self._home, self._thread_timeout, self._wider)
            self._guard.owner = self._owner
        return self._guard

    def prepare(self) -> None:
        """Know where the main thread belongs, before a test that is isolated leaves it."""
        if self._checks_leaks:
            with self._said_if_impossible():
                self._place = self._known_guard().look().namespace

    @contextlib.contextmanager
    def wider(self) -> Iterator[None]:
        """Let what a fixture of a wider scope makes in the block be there from the beginning, since it stays."""
        start = None
        if self._before is not None and not self._depth:
            with self._said_if_impossible():
                start = self._known_guard().look()
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if start is not None and self._before is not None:
                with self._said_if_impossible():
                    self._before.allow(start, self._known_guard().look())
        if self._is_to_begin:
            self.begin()

    def drop(self) -> None:
        """Check no leaks of the test that runs."""
        self._before = None

    def end(self) -> None:
        """Undo the child mode of the test, and have the main thread where it belongs, also if the test has failed."""
        if self._has_begun and self._before is None:
            self._return()
        self._runs = self._is_to_begin = False
        self.mode = self._default
        undo, self._undo = self._undo, contextlib.ExitStack()
        undo.close()

    def _return(self) -> None:
        from .._linux import syscalls

        with self._said_if_impossible():
            if self._home >= 0 and syscalls.namespace_id("/proc/self/ns/net") != syscalls.namespace_id(self._home):
                syscalls.setns(self._home)

    def left(self, others: list[str]) -> list[str]:
        """Return a text for each thing that the test has left, and for each namespace that something keeps.

        :param others: texts for what it has left that is known already.
        """
        before, self._before = self._before, None
        guard = self._guard
        found: list[str] = []
        if guard is None:
            return found
        with self._said_if_impossible():
            differences = [*others, *([] if before is None else guard.differences(before))]
            found = ["left behind by the test:", *differences] if differences else []
            found += guard.kept(is_judged=before is not None and not differences)
        return found

    def left_at_the_end(self) -> tuple[list[str], list[str]]:
        """Return a text for each namespace that something keeps, and for each of which it cannot be seen what does."""
        found: tuple[list[str], list[str]] = [], []
        if self._guard is not None:
            with self._said_if_impossible():
                found = self._guard.kept_at_the_end()
        return found

    @contextlib.contextmanager
    def _said_if_impossible(self) -> Iterator[None]:
        """Let no trouble of the leak check become one of the test, which has done nothing wrong."""
        try:
            yield
        except Exception as error:
            self._before = None
            if not self._has_said:
                self._has_said = True
                self._say(f"{CANNOT}: {type(error).__name__}: {error}")
