"""The child modes that start a child for each call, and how its answer is waited for."""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from .. import _causes
from .._errors import (
    ChildDiedError,
    ChildProtocolError,
    NetNSError,
    NetNSTimeoutError,
    UnpicklableError,
    from_errno,
    is_meant,
)
from .._handle import Handle
from .._linux import fdpass, syscalls
from . import pickling
from .job import BEGUN, RAISED, UNPICKLABLE, CallFunction, Job, MakeSockets
from .process import Child
from .protocol import Call, Spec
from .reply import checked

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


class ChildTraceback(Exception):
    """The cause of an exception that a child raised; its text is the traceback there."""

    def __str__(self) -> str:
        return f"\n\n{self.args[0]}"


class OneChildPerCall(ABC):
    """A child mode that starts a child for each call."""

    name: str

    @abstractmethod
    def _child(self, handle: Handle) -> Child:
        """Return a child that is not started."""

    @abstractmethod
    def _start(self, child: Any, handle: Handle, job: Job) -> None:
        """Start a child on a job, which answers over the second end of its channel."""

    def sockets(self, handle: Handle, specs: Sequence[Spec], received: fdpass.Received) -> None:
        checked(self._run(handle, MakeSockets(specs), received), handle)

    def call(self, handle: Handle, asked: Call) -> Any:
        received = fdpass.Received()
        try:
            payload = self._run(
                handle, CallFunction(asked.func, asked.args, asked.kwargs), received, call=True, timeout=asked.timeout
            )
            if payload[:1] == UNPICKLABLE:
                raise UnpicklableError(f"{handle}: {payload[1:].decode()}; return something that can, sockets included")
            if payload[:1] == RAISED:
                error, text = self._load(handle, payload[1:], received)
                error.__cause__ = ChildTraceback(text)
                raise error
            return self._load(handle, checked(payload, handle), received)
        except BaseException:
            received.close()
            raise

    def _run(
        self,
        handle: Handle,
        job: Job,
        received: fdpass.Received,
        *,
        call: bool = False,
        timeout: float | None = None,
    ) -> bytes:
        """Have a child do a job; return its answer."""
        child = self._child(handle)
        try:
            with handle.measured(f"starting a child of the mode {self.name}"):
                self._start_on(child, handle, job)
            answer = self._receive_answer(child, handle, received, call=call, timeout=timeout)
            child.close()
        except BaseException:
            child.close()  # what a signal handler has kept from being closed above, too
            raise
        return answer

    def _start_on(self, child: Child, handle: Handle, job: Job) -> None:
        try:
            fdpass.pair(child.ends)
            self._start(child, handle, job)
            child.ends[1].close()
            child.watch()
        except OSError as error:
            if isinstance(error, NetNSError):
                raise
            raise from_errno(error.errno or 0, f"{handle}: cannot start a child", step=_causes.STARTING) from error

    def _receive_answer(
        self,
        child: Child,
        handle: Handle,
        received: fdpass.Received,
        *,
        call: bool = False,
        timeout: float | None = None,
    ) -> bytes:
        """Wait for the child's answer, and end the child.

        :param received: what owns the descriptors that come with it.
        :param call: it first tells that it has begun; ``timeout`` (seconds, ``None`` for no limit) counts from then.
        :return: its bytes.
        :raises NetNSError: there is none.
        """
        channel = child.ends[0]
        waited: float | None = handle.child_timeout
        remedy = "if the machine is just slow, raise --netns-child-timeout"
        try:
            answer = fdpass.receive(channel, received, syscalls.monotonic() + handle.child_timeout, child.ending)
            if call and answer == BEGUN:
                waited, remedy = timeout, "give it a longer timeout, or none"
                channel.settimeout(None)
                deadline = None if timeout is None else syscalls.monotonic() + timeout
                answer = fdpass.receive(channel, received, deadline, child.ending)
            return answer
        except (fdpass.Closed, ConnectionResetError):
            text = f"{handle}: the {self.name} child ended before it answered, {child.end()}"
            raise ChildDiedError(errno.ECHILD, text) from None
        except fdpass.Garbage as garbage:
            raise ChildProtocolError(
                errno.EPROTO, f"{handle}: the {self.name} child answered garbage: {garbage}"
            ) from None
        except TimeoutError:
            text = f"{handle}: the {self.name} child did not answer within {waited:g} s and was killed; {remedy}"
            raise NetNSTimeoutError(errno.ETIMEDOUT, text) from None
        except OSError as error:
            raise from_errno(error.errno or 0, f"{handle}: cannot take the answer of the {self.name} child") from error

    def _load(self, handle: Handle, pickled: bytes, received: fdpass.Received) -> Any:
        try:
            return pickling.load(pickled, received)
        except Exception as error:
            raise UnpicklableError(
                f"{handle}: what the {self.name} child passed back cannot be unpickled: {error}"
            ) from error
