import contextlib
import os
import resource
import socket
import sys
import tempfile
from unittest import mock

import pytest

ERROR = FileNotFoundError("of the test")


def replaced(target, **how):
    return lambda: mock.patch(target, **(how or {"side_effect": ERROR}))


@contextlib.contextmanager
def sockets():
    with contextlib.ExitStack() as stack:
        for name in ("socket", "socketpair", "getaddrinfo"):
            stack.enter_context(mock.patch.object(socket, name, side_effect=ERROR))
        yield


@contextlib.contextmanager
def removed_directory():
    before = os.getcwd()
    os.chdir(tempfile.mkdtemp())
    os.rmdir(os.getcwd())
    yield
    os.chdir(before)


@contextlib.contextmanager
def purged():
    with mock.patch.dict(sys.modules), mock.patch.object(sys, "path", []):
        for name in [name for name in sys.modules if name.startswith(("pytest_netns", "pyroute2"))]:
            del sys.modules[name]
        yield


@contextlib.contextmanager
def streams():
    with mock.patch.object(sys, "stdout", None), mock.patch.object(sys, "stderr", None):
        yield


@contextlib.contextmanager
def files():
    fake = pytest.importorskip("pyfakefs.fake_filesystem_unittest")
    with fake.Patcher():
        yield


HARMLESS = {
    **{name: replaced(f"os.{name}") for name in ("stat", "lstat", "open", "listdir", "readlink")},
    "getppid": replaced("os.getppid"),
    "getpid": replaced("os.getpid", return_value=1),
    "open()": replaced("builtins.open"),
    "pathlib": replaced("pathlib.Path.read_bytes"),
    "enumerate": replaced("threading.enumerate", return_value=[]),
    "collect": replaced("gc.collect"),
    "signal": replaced("signal.signal"),
    "monotonic": replaced("time.monotonic", return_value=0.0),
    "environ": lambda: mock.patch.dict(os.environ, clear=True),
    "sockets": sockets,
    "directory": removed_directory,
    "modules": purged,
    "streams": streams,
    "files": files,
}


@contextlib.contextmanager
def limited(number):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (number, hard))
    taken = []
    with contextlib.suppress(OSError):
        while True:
            taken.append(os.dup(2))
    yield
    for fd in taken:
        os.close(fd)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@contextlib.contextmanager
def another_user():
    before = os.getresuid()
    with contextlib.suppress(OSError):  # there is no other user
        os.setresuid(1000, 1000, before[2])
    yield
    os.setresuid(*before)


HARMFUL = {
    "kill": replaced("os.kill"),
    "sleep": replaced("time.sleep"),
    "thread": replaced("threading.Thread"),
    "program": replaced("subprocess.Popen"),
    "no free descriptor": lambda: limited(64),
    "a low limit": lambda: limited(3),
    "another user": another_user,
}


@pytest.fixture(params=HARMLESS)
def harmless(request):
    with HARMLESS[request.param]():
        yield


@pytest.fixture(params=[*HARMLESS, *HARMFUL])
def broken(request):
    with (HARMLESS | HARMFUL)[request.param]():
        yield
