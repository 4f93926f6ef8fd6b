"""What the resident child does with the files of /proc that show each process its own namespace, a verb each."""

from __future__ import annotations

import marshal
import os

from ... import _causes
from ..._linux import proc, syscalls
from ..reply import OK, Step
from . import requests
from .namespaces import write_sysctl
from .requests import key_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Verb = Callable[..., tuple[bytes, list[int]]]

ROOT = "/proc/sys/"


class Files:
    """The files of namespaces.

    :param enter: moves this process into a namespace.
    :param leave: moves it back.
    """

    def __init__(self, enter: Callable[[int], object], leave: Callable[[], object]) -> None:
        self.enter = enter
        self.leave = leave
        self.by_name: dict[bytes, Verb] = {
            requests.READ_SYSCTL: self.read_sysctl,
            requests.WRITE_SYSCTL: self.write_sysctl,
            requests.LIST_SYSCTL: self.list_sysctl,
            requests.READ_FILES: self.read,
            requests.OPEN_FILES: self.open,
        }

    def read_sysctl(self, key: int, path: str) -> tuple[bytes, list[int]]:
        self.enter(key)
        try:
            with Step(f"read the sysctl {key_of(path)}", _causes.SYSCTL), open(f"{ROOT}{path}", "rb") as file:
                return OK + file.read(), []
        finally:
            self.leave()

    def write_sysctl(self, key: int, path: str, value: str) -> tuple[bytes, list[int]]:
        self.enter(key)
        try:
            with Step(f"set the sysctl {key_of(path)}", _causes.SYSCTL):
                write_sysctl(path, value)
        finally:
            self.leave()
        return OK, []

    def list_sysctl(self, key: int) -> tuple[bytes, list[int]]:
        self.enter(key)
        try:
            with Step("list the sysctls"):
                return OK + "\0".join(sysctls()).encode(), []
        finally:
            self.leave()

    def read(self, key: int, paths: list[str], with_sysctls: bool) -> tuple[bytes, list[int]]:
        """Return what is in files, and in those of sysctls that can be read; nothing of a file that is not there."""
        self.enter(key)
        try:
            with Step("read the files of the namespace"):
                contents = [read_or_nothing(path) for path in paths]
                names = sysctls() if with_sysctls else ()
                values = {key_of(name): read_or_nothing(ROOT + name) for name in names}
        finally:
            self.leave()
        return OK + marshal.dumps((contents, values)), []

    def open(self, key: int, paths: list[str]) -> tuple[bytes, list[int]]:
        """Pass descriptors of files that are there; they show this namespace to whoever reads them (proc_net(5))."""
        fds: list[int] = []
        self.enter(key)
        try:
            with Step("open the files of the namespace"):
                for path in filter(os.path.exists, paths):
                    fds.append(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
        except BaseException:
            syscalls.close_all(fds)
            raise
        finally:
            self.leave()
        return OK, fds


def sysctls() -> Iterator[str]:
    """Yield the paths of the sysctls of the namespace that this process is in, below /proc/sys."""
    for folder, _, files in os.walk(f"{ROOT}net"):
        for file in files:
            yield f"{folder}/{file}".removeprefix(ROOT)


def read_or_nothing(path: str) -> bytes:
    try:
        return proc.read(path)
    except OSError:  # one that can only be written, or belongs to a part that this kernel lacks
        return b""
