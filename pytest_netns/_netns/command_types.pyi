# What NetNS.run and NetNS.popen take, for type checkers only. It is what typeshed declares for subprocess, without the
# options of Windows, and with anything that has a descriptor, such as a socket, for stdin, stdout and stderr.
#
# Four options ask for text. Which of them are given decides what the pipes carry: str, bytes, or Any where that is
# known only at run time. Each public class below is one of these cases.

import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

from _typeshed import HasFileno, ReadableBuffer, StrOrBytesPath
from typing_extensions import Required, TypedDict

from .readiness import Condition

Command: TypeAlias = StrOrBytesPath | Sequence[StrOrBytesPath]
File: TypeAlias = int | HasFileno | None
_Told: TypeAlias = Condition | Callable[[], object]
Ready: TypeAlias = _Told | Iterable[_Told] | None

class _Common(TypedDict, total=False):
    bufsize: int
    executable: StrOrBytesPath | None
    stdin: File
    stdout: File
    stderr: File
    preexec_fn: Callable[[], object] | None
    close_fds: bool
    shell: bool
    cwd: StrOrBytesPath | None
    env: Mapping[bytes, StrOrBytesPath] | Mapping[str, StrOrBytesPath] | None
    restore_signals: bool
    start_new_session: bool
    pass_fds: Collection[int]
    user: str | int | None
    group: str | int | None
    extra_groups: Iterable[str | int] | None
    umask: int
    pipesize: int

if sys.version_info >= (3, 11):
    class _Popen(_Common, total=False):
        process_group: int | None

else:
    class _Popen(_Common, total=False): ...

class _Run(_Popen, total=False):
    capture_output: bool
    check: bool
    timeout: float | None

class _Text(TypedDict, total=False):
    text: Required[Literal[True]]
    universal_newlines: bool | None
    encoding: str | None
    errors: str | None

class _UniversalNewlines(TypedDict, total=False):
    text: bool | None
    universal_newlines: Required[Literal[True]]
    encoding: str | None
    errors: str | None

class _Encoding(TypedDict, total=False):
    text: bool | None
    universal_newlines: bool | None
    encoding: Required[str]
    errors: str | None

class _Errors(TypedDict, total=False):
    text: bool | None
    universal_newlines: bool | None
    encoding: str | None
    errors: Required[str]

class _Bytes(TypedDict, total=False):
    text: Literal[False] | None
    universal_newlines: Literal[False] | None
    encoding: None
    errors: None

class _Either(TypedDict, total=False):
    text: bool | None
    universal_newlines: bool | None
    encoding: str | None
    errors: str | None

class _Ready(_Popen, total=False):
    ready: Ready
    ready_timeout: float

class PopenText(_Ready, _Text, total=False): ...
class PopenUniversalNewlines(_Ready, _UniversalNewlines, total=False): ...
class PopenEncoding(_Ready, _Encoding, total=False): ...
class PopenErrors(_Ready, _Errors, total=False): ...
class PopenBytes(_Ready, _Bytes, total=False): ...
class PopenEither(_Ready, _Either, total=False): ...

class AsyncPopen(_Ready, total=False):
    limit: int

class _StrInput(TypedDict, total=False):
    input: str | None

class _BytesInput(TypedDict, total=False):
    input: ReadableBuffer | None

class _EitherInput(TypedDict, total=False):
    input: ReadableBuffer | str | None

class RunText(_Run, _Text, _StrInput, total=False): ...
class RunUniversalNewlines(_Run, _UniversalNewlines, _StrInput, total=False): ...
class RunEncoding(_Run, _Encoding, _StrInput, total=False): ...
class RunErrors(_Run, _Errors, _StrInput, total=False): ...
class RunBytes(_Run, _Bytes, _BytesInput, total=False): ...
class RunEither(_Run, _Either, _EitherInput, total=False): ...
