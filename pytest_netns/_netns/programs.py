"""A namespace in which servers and other programs are waited for, and rules are set."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._arguments import check_command
from .._errors import is_meant
from .running import READY_TIMEOUT, Running

if TYPE_CHECKING:
    from asyncio.subprocess import Process

    from typing_extensions import Unpack

    from . import command_types as types

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


class Programs(Running):
    """A namespace in which servers and other programs are waited for, and rules are set."""

    def wait_listening(
        self, port: int, kind: str = "tcp", address: str | None = None, timeout: float = READY_TIMEOUT
    ) -> None:
        """Wait until something in the namespace listens on a port, such as a server in a thread of the test.

        It blocks the thread that calls it: in a coroutine, ``await asyncio.to_thread(ns.wait_listening, port)``.

        :param port: as of :func:`listening`, with what follows it.
        :param timeout: how long it may take, in seconds.
        :raises NetNSTimeoutError: nothing listens there in time; the text has what listens instead.
        """
        self._checked_fd()
        from . import listening

        listening.wait_listening(self, listening.condition(port, kind, address), timeout)

    async def async_popen(self, args: types.Command, **kwargs: Unpack[types.AsyncPopen]) -> Process:
        """Start a command in the namespace for asyncio, with the arguments of ``asyncio.create_subprocess_exec``.

        But for the command, which is a list as of :meth:`popen`, so that the two differ by a word; and, as there,
        ``shell=True`` takes a ``str``, and ``ready`` and ``ready_timeout`` can be given.

        :return: an ``asyncio.subprocess.Process``, owned by the caller; ended with the namespace as :meth:`popen` has
            it, whichever comes first, the end of the event loop or that of the namespace. What it wrote to a pipe and
            nobody has read is in the report of a failed test.
        :raises OSError: as ``subprocess.Popen``.
        :raises RuntimeError: no event loop of asyncio runs here.
        :raises ProgramDiedError: as of :meth:`popen`.
        :raises NetNSTimeoutError: likewise.
        """
        self._checked_fd()
        check_command(args)
        from . import async_programs

        options: dict[str, Any] = {**kwargs}
        return await async_programs.popen(self, self._processes, args, options)

    def shell(self) -> int:
        """Open an interactive shell ($SHELL, or sh) in the namespace, at a breakpoint for example.

        It has the terminal from which pytest was started, whatever pytest captures, and a prompt that begins with the
        label of the namespace. The test waits for its end.

        :return: its exit status.
        :raises NetNSUnsupportedError: there is no terminal, as in CI, or this is a worker of pytest-xdist.
        """
        self._checked_fd()
        from . import shell

        return shell.run(self, self._processes)

    def nft(self, ruleset: str) -> None:
        """Apply a ruleset of nftables in the namespace, the whole of it or nothing, by ``nft -f``.

        It adds to what there is; let it begin with ``flush ruleset`` to have nothing else.

        :param ruleset: as nft(8) reads it from a file.
        :raises RulesetError: nft does not take it; the text has its message, with the line in question.
        :raises NetNSUnsupportedError: there is no nft(8).
        """
        self._checked_fd()
        from . import nftables

        nftables.apply(self, ruleset)
