"""The threads of pools, which outlive a test that is inside a namespace: they do its work where the test is.

What a test gives a pool to do is carried into the namespace of the thread that gives it. Afterwards the thread goes to
the original namespace, so that a thread which waits for work keeps no namespace.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from types import FrameType, ModuleType
from typing import Any, Protocol

from .._errors import NetNSError, is_meant
from .._linux import entering, syscalls
from .._netns.threads import InsideExecutor

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

NETWORK = (
    *("socket.__new__", "socket.bind", "socket.connect", "socket.sendto", "socket.sendmsg"),
    *("socket.getaddrinfo", "socket.gethostbyname", "socket.gethostbyaddr", "socket.getnameinfo"),
    *("subprocess.Popen", "os.posix_spawn", "os.fork", "os.system"),
)
"""The events of what depends on the namespace of the thread, or passes it on."""
LOADING = ("import", "_thread.start_new_thread", "_thread.start_joinable_thread", "socket.__new__")
"""Events after which there may be a pool that was not there before."""


class Stay(Protocol):
    """A namespace that a piece of work may be carried into."""

    @property
    def fd(self) -> int:
        """A descriptor of it, which is open for as long as the object is there."""

    @property
    def identity(self) -> tuple[int, int]:
        """What identifies it."""


class Surroundings(Protocol):
    """What knows the namespaces of tests."""

    def of_caller(self) -> Stay | None:
        """Return the namespace of the calling thread, if it is that of a test, or the original one."""

    def may_leave(self, identity: tuple[int, int]) -> bool:
        """Whether the calling thread, in that namespace, is there by our doing or since a test started it there."""

    def now(self) -> Stay:
        """Return the namespace of the test that runs, or the original one."""

    @property
    def original(self) -> Stay:
        """The original namespace."""

    def outside(self) -> AbstractContextManager[None]:
        """Be in the original namespace for the length of a block."""


class Work:
    """A piece of work that is done in the namespace of the thread that has given it."""

    def __init__(self, func: Callable[..., Any], stay: Stay, surroundings: Surroundings) -> None:
        functools.update_wrapper(self, func, ("__module__", "__name__", "__qualname__", "__doc__"), ())
        self._func = func
        self._stay = stay
        self._surroundings = surroundings

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        before = syscalls.namespace_id("/proc/thread-self/ns/net")
        # Who is in another one than those of tests has gone there on purpose.
        if before == self._stay.identity or not self._surroundings.may_leave(before):
            return self._func(*args, **kwargs)
        entering.enter(self._stay.fd, "the namespace of what gave this work to a pool")
        try:
            return self._func(*args, **kwargs)
        finally:
            self._leave()

    def _leave(self) -> None:
        try:
            syscalls.setns(self._surroundings.original.fd)
        except OSError as error:
            raise NetNSError(
                f"thread {threading.current_thread().name!r} of a pool cannot leave the namespace of the test for "
                f"which it has worked: {error}; it will refuse all work for other tests"
            ) from error


class Pools:
    """Has the work of pools carried, until it is closed: those that are there, and those that are imported later."""

    def __init__(self, surroundings: Surroundings) -> None:
        self._surroundings = surroundings
        self._originals: list[tuple[Any, str, Any]] = []
        self._with_initializer: weakref.WeakSet[ThreadPoolExecutor] = weakref.WeakSet()
        self._to_come: dict[str, Callable[[ModuleType], None]] = {
            "trio._core._thread_cache": self._adopt_trio,
            "anyio._backends._asyncio": self._adopt_anyio,
            "multiprocessing.pool": self._adopt_thread_pool,
        }
        # Where the threads of pools wait whose work cannot be carried: it is seen when they use the network.
        self._others = frozenset(
            {
                ("/twisted/_threads/_threadworker.py", "work"),
                ("/gevent/threadpool.py", "run"),
                ("/trio/_core/_thread_cache.py", "_work"),
                ("/anyio/_backends/_asyncio.py", "run"),
                ("/multiprocessing/pool.py", "worker"),
            }
        )
        self._main = threading.get_ident()
        self._adopt_executors()
        self.adopt()

    def adopt(self) -> None:
        """Have the work of those pools carried that were imported meanwhile."""
        for name in list(self._to_come):
            module = sys.modules.get(name)
            if module is not None:
                with contextlib.suppress(AttributeError):  # it is not yet loaded to the end, or another version
                    self._to_come[name](module)
                    self._to_come.pop(name, None)

    def hear_of_loading(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self._to_come:
            self.adopt()

    def hear_of_network(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Move the calling thread to where the test is, if it belongs to a pool whose work cannot be carried."""
        if threading.get_ident() == self._main or not self._is_in_another_pool(sys._getframe(1)):
            return
        here, stay = syscalls.namespace_id("/proc/thread-self/ns/net"), self._surroundings.now()
        if here != stay.identity and self._surroundings.may_leave(here):
            entering.enter(stay.fd, f"the namespace of the test, for a thread of a pool ({event})")

    def _is_in_another_pool(self, frame: FrameType | None) -> bool:
        while frame is not None:
            code = frame.f_code
            for file, function in self._others:
                if code.co_name == function and code.co_filename.endswith(file):
                    return True
            frame = frame.f_back
        return False

    def _carried(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Return what does a piece of work where the calling thread is."""
        stay = self._surroundings.of_caller()
        return func if stay is None else Work(func, stay, self._surroundings)

    def _birth(self) -> AbstractContextManager[None]:
        """Return the block in which a pool starts threads: they outlive the test."""
        if self._surroundings.of_caller() is None:
            return contextlib.nullcontext()
        return self._surroundings.outside()

    def _replace(self, owner: Any, name: str, value: object) -> None:
        self._originals.append((owner, name, owner.__dict__[name]))
        setattr(owner, name, value)

    def close(self) -> None:
        """Put back what was there."""
        self._to_come.clear()
        while self._originals:
            setattr(*self._originals.pop())

    # The pools

    def _adopt_executors(self) -> None:
        original: Any = ThreadPoolExecutor.submit

        @functools.wraps(original)
        def submit(executor: Any, fn: Any, /, *args: Any, **kwargs: Any) -> Any:
            if isinstance(executor, InsideExecutor):
                return original(executor, fn, *args, **kwargs)
            work = self._carried(fn)
            with contextlib.nullcontext() if executor in self._with_initializer else self._birth():
                return original(executor, work, *args, **kwargs)

        original_init = ThreadPoolExecutor.__init__

        @functools.wraps(original_init)
        def init(executor: Any, *args: Any, **kwargs: Any) -> None:
            initializer = args[2] if len(args) > 2 else kwargs.get("initializer")
            if initializer is not None:  # it is to run where the work is: so its threads are born there
                self._with_initializer.add(executor)
            original_init(executor, *args, **kwargs)

        self._replace(ThreadPoolExecutor, "__init__", init)
        self._replace(ThreadPoolExecutor, "submit", submit)

    def _adopt_trio(self, module: Any) -> None:
        cache = module.ThreadCache
        original = cache.start_thread_soon

        @functools.wraps(original)
        def start_thread_soon(self_: Any, fn: Any, *args: Any, **kwargs: Any) -> Any:
            work = self._carried(fn)
            with self._birth():
                return original(self_, work, *args, **kwargs)

        self._replace(cache, "start_thread_soon", start_thread_soon)
        self._others -= {("/trio/_core/_thread_cache.py", "_work")}

    def _adopt_anyio(self, module: Any) -> None:
        backend, worker = module.AsyncIOBackend, module.WorkerThread
        original, start = backend.run_sync_in_worker_thread, worker.start

        @functools.wraps(original)
        async def run_sync_in_worker_thread(cls: Any, func: Any, *args: Any, **kwargs: Any) -> Any:
            return await original(self._carried(func), *args, **kwargs)

        def start_outside(thread: Any) -> None:
            with self._birth():
                start(thread)

        self._replace(backend, "run_sync_in_worker_thread", classmethod(run_sync_in_worker_thread))
        self._originals.append((worker, "start", start))
        worker.start = start_outside
        self._others -= {("/anyio/_backends/_asyncio.py", "run")}

    def _adopt_thread_pool(self, module: Any) -> None:
        pool, wide = module.ThreadPool, module.Pool

        def carrying(original: Any) -> Any:
            @functools.wraps(original)
            def give(self_: Any, func: Any, *args: Any, **kwargs: Any) -> Any:
                return original(self_, self._carried(func) if isinstance(self_, pool) else func, *args, **kwargs)

            return give

        for name in ("apply_async", "map", "map_async", "starmap", "starmap_async", "imap", "imap_unordered"):
            self._replace(wide, name, carrying(wide.__dict__[name]))
        self._others -= {("/multiprocessing/pool.py", "worker")}
