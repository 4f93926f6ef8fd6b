"""The tree of errors."""

from __future__ import annotations

import errno
import pickle

import pytest

from pytest_netns import _errors
from pytest_netns._causes import NEXT_STEP

BUILTINS: dict[type[_errors.NetNSError], type[Exception]] = {
    _errors.ChildCallError: RuntimeError,
    _errors.ChildDiedError: ChildProcessError,
    _errors.ChildModeError: ValueError,
    _errors.ChildProtocolError: OSError,
    _errors.NetNSClosedError: OSError,
    _errors.NetNSExistsError: FileExistsError,
    _errors.NetNSLeakError: RuntimeError,
    _errors.NetNSLimitError: OSError,
    _errors.NetNSOSError: OSError,
    _errors.NetNSPermissionError: PermissionError,
    _errors.NetNSTimeoutError: TimeoutError,
    _errors.NetNSUnsupportedError: OSError,
    _errors.ProgramDiedError: ChildProcessError,
    _errors.RulesetError: ValueError,
    _errors.UnpicklableError: TypeError,
}

PRIVILEGE = "run pytest as root or with CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_NET_RAW"
ROOT = "check the permissions, or run pytest as root"
ULIMIT = "raise the limit of open files (ulimit -n), or close sockets and namespaces earlier"
FILE_MAX = "raise the system's limit of open files (sysctl fs.file-max)"
REFS = "raise the limit of open files (ulimit -n): it bounds the descriptors in flight too"
KERNEL = "lift the seccomp filter that hides the call, or use a newer kernel"


def leaves() -> list[type[_errors.NetNSError]]:
    classes = [value for value in vars(_errors).values() if isinstance(value, type)]
    return [kind for kind in classes if kind is not _errors.NetNSError]


@pytest.mark.parametrize("kind", leaves())
def test_each_leaf_is_a_netns_error_and_the_builtin_that_fits(kind: type[_errors.NetNSError]) -> None:
    assert kind.__bases__ == (_errors.NetNSError, BUILTINS[kind])
    assert kind.__subclasses__() == []


@pytest.mark.parametrize("kind", leaves())
def test_each_leaf_survives_pickling(kind: type[_errors.NetNSError]) -> None:
    original = kind(errno.EPERM, "what failed") if issubclass(kind, OSError) else kind("what failed")
    copy = pickle.loads(pickle.dumps(original))
    assert type(copy) is kind
    assert (str(copy), copy.args) == (str(original), original.args)
    assert getattr(copy, "errno", None) == getattr(original, "errno", None)


def test_the_root_survives_pickling() -> None:
    copy = pickle.loads(pickle.dumps(_errors.NetNSError("what failed")))
    assert (type(copy), str(copy)) == (_errors.NetNSError, "what failed")


@pytest.mark.parametrize(
    ("number", "kind", "described", "remedy"),
    [
        (errno.EPERM, _errors.NetNSPermissionError, "EPERM (Operation not permitted)", f"; {PRIVILEGE}"),
        (errno.EACCES, _errors.NetNSPermissionError, "EACCES (Permission denied)", f"; {ROOT}"),
        (errno.EEXIST, _errors.NetNSExistsError, "EEXIST (File exists)", ""),
        (errno.EROFS, _errors.NetNSOSError, "EROFS (Read-only file system)", ""),
        (errno.EMFILE, _errors.NetNSLimitError, "EMFILE (Too many open files)", f"; {ULIMIT}"),
        (errno.ENFILE, _errors.NetNSLimitError, "ENFILE (Too many open files in system)", f"; {FILE_MAX}"),
        (errno.ENOSPC, _errors.NetNSLimitError, "ENOSPC (No space left on device)", ""),
        (errno.ENOMEM, _errors.NetNSLimitError, "ENOMEM (Cannot allocate memory)", "; free memory"),
        (errno.ENOBUFS, _errors.NetNSLimitError, "ENOBUFS (No buffer space available)", ""),
        (errno.EAGAIN, _errors.NetNSLimitError, "EAGAIN (Resource temporarily unavailable)", ""),
        (errno.ETOOMANYREFS, _errors.NetNSLimitError, "ETOOMANYREFS (Too many references: cannot splice)", f"; {REFS}"),
        (errno.ENOSYS, _errors.NetNSUnsupportedError, "ENOSYS (Function not implemented)", f"; {KERNEL}"),
        (errno.EOPNOTSUPP, _errors.NetNSUnsupportedError, "ENOTSUP (Operation not supported)", ""),
        (
            errno.EAFNOSUPPORT,
            _errors.NetNSUnsupportedError,
            "EAFNOSUPPORT (Address family not supported by protocol)",
            "",
        ),
        (
            errno.EPROTONOSUPPORT,
            _errors.NetNSUnsupportedError,
            "EPROTONOSUPPORT (Protocol not supported)",
            "",
        ),
        (
            errno.ESOCKTNOSUPPORT,
            _errors.NetNSUnsupportedError,
            "ESOCKTNOSUPPORT (Socket type not supported)",
            "",
        ),
        (errno.EPFNOSUPPORT, _errors.NetNSUnsupportedError, "EPFNOSUPPORT (Protocol family not supported)", ""),
        (errno.EINVAL, _errors.NetNSOSError, "EINVAL (Invalid argument)", ""),
        (9999, _errors.NetNSOSError, "errno 9999 (Unknown error 9999)", ""),
    ],
)
def test_an_errno_becomes_the_leaf_that_fits(
    number: int, kind: type[_errors.NetNSError], described: str, remedy: str
) -> None:
    error = _errors.from_errno(number, "namespace 'lab': cannot do it")
    assert type(error) is kind
    assert str(error) == f"[Errno {number}] namespace 'lab': cannot do it: {described}{remedy}"
    assert isinstance(error, OSError)
    assert error.errno == number


@pytest.mark.parametrize(("step", "number"), [(step, number) for step, known in NEXT_STEP.items() for number in known])
def test_what_to_do_next_depends_on_the_step(step: str, number: int) -> None:
    error = _errors.from_errno(number, "cannot do it", step=step)
    assert str(error) == f"[Errno {number}] cannot do it: {_errors.errno_name(number)}; {NEXT_STEP[step][number]}"


def test_the_caller_may_know_a_better_remedy() -> None:
    error = _errors.from_errno(errno.EPERM, "cannot do it", remedy="do not")
    assert str(error) == "[Errno 1] cannot do it: EPERM (Operation not permitted); do not"


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (None, "and was reaped by somebody else"),
        (0, "with exit status 0"),
        (3, "with exit status 3"),
        (-9, "by signal 9 (Killed)"),
    ],
)
def test_an_exit_code_is_told_in_words(code: int | None, text: str) -> None:
    assert _errors.how_it_ended(code) == text


def test_the_module_names_every_error() -> None:
    assert set(_errors.__all__) - {"from_errno", "NetNSError"} == {kind.__name__ for kind in leaves()}
