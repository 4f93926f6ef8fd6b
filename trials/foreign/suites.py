"""The suites, as ``suites.toml`` describes them, and the environment that each runs in."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import venv
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
REPORTING = Path(__file__).with_name("reporting")  # has a plugin of pytest for the runs
PLUGINS = ("pytest-xdist", "pytest-asyncio", "pytest-cov", "pytest-timeout")  # suites name them in their settings
TEST_LIMIT = 60  # seconds for a test
PLUGIN_OPTIONS = (
    "--no-cov",
    f"--timeout={TEST_LIMIT}",
    "--override-ini=asyncio_default_fixture_loop_scope=function",
)
INSTALL_LIMIT = 900  # seconds for one call of pip


class NotInstalled(Exception):
    """A suite cannot be installed here, or its release has no tests."""


@dataclass(frozen=True)
class Suite:
    """A source distribution that ships its tests; ``suites.toml`` explains its fields."""

    name: str
    version: str
    tests: tuple[str, ...]
    needs: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    workers: tuple[str, ...] = ("-n4",)
    note: str = ""
    isolate: tuple[str, ...] = ("test",)
    without: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def from_toml(cls, name: str, table: dict[str, Any]) -> Suite:
        unknown = table.keys() - {field.name for field in fields(cls)}
        if unknown:
            raise ValueError(f"suites.toml, {name}: {', '.join(sorted(unknown))} means nothing")
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in table.items()
        }
        return cls(name, **values)

    @property
    def release(self) -> str:
        return f"{self.name}=={self.version}"


def load() -> list[Suite]:
    """Return the suites, by their names."""
    with Path(__file__).with_name("suites.toml").open("rb") as file:
        return [Suite.from_toml(name, table) for name, table in sorted(tomllib.load(file).items())]


class Environment:
    """The virtual environment and the source of a suite, kept between runs.

    :param cache: the folder that keeps all of them.
    :param plugin: the folder of the project whose plugin it is tried with.
    """

    def __init__(self, suite: Suite, cache: Path, plugin: Path = ROOT) -> None:
        self.suite = suite
        self.options = (*PLUGIN_OPTIONS, *suite.options)
        self._plugin = plugin
        python = f"py{sys.version_info[0]}.{sys.version_info[1]}"
        self._folder = cache / f"{suite.name}-{suite.version}-{python}"
        self.bin = self._folder / "venv" / "bin"
        self.source = self._folder / "source"

    def make(self) -> None:
        """Install what is not there from the last run.

        :raises NotInstalled: it cannot be done.
        """
        made_of = repr((self.suite.needs, self.suite.remove, PLUGINS))
        stamp = self._folder / f"made-{hashlib.sha256(made_of.encode()).hexdigest()[:16]}"
        if not stamp.exists():
            shutil.rmtree(self._folder, ignore_errors=True)
            venv.create(self._folder / "venv", with_pip=True)
            self._pip("install", "--editable", str(self._plugin), *PLUGINS, *self.suite.needs, self.suite.release)
            self._pip("download", "--no-deps", "--no-binary=:all:", "--dest", str(self._folder), self.suite.release)
            self._unpack(next(self._folder.glob("*.tar.gz")))
        elif stamp.read_text() != str(self._plugin):
            self._pip("install", "--no-deps", "--editable", str(self._plugin))
        # Not by PYTHONPATH, which suites set and expect to be unset.
        next(self._folder.glob("venv/lib/python*/site-packages")).joinpath("foreign.pth").write_text(f"{REPORTING}\n")
        stamp.write_text(str(self._plugin))

    def _pip(self, *arguments: str) -> None:
        command = [str(self.bin / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
        try:
            subprocess.run(
                command,
                check=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=INSTALL_LIMIT,
            )
        except subprocess.TimeoutExpired:
            raise NotInstalled(f"pip {arguments[0]} took more than {INSTALL_LIMIT} s") from None
        except subprocess.CalledProcessError as error:
            errors = [line for line in error.stdout.splitlines() if line.startswith("ERROR")] or ["ERROR: no reason"]
            raise NotInstalled(f"pip {arguments[0]}: {errors[0].removeprefix('ERROR: ')}") from None

    def _unpack(self, archive: Path) -> None:
        with tarfile.open(archive) as file:
            file.extractall(self._folder, filter="data")
        (self._folder / archive.name.removesuffix(".tar.gz")).rename(self.source)
        for folder in self.suite.remove:
            shutil.rmtree(self.source / folder)
        lacking = [test for test in self.suite.tests if not (self.source / test).exists()]
        if lacking:
            raise NotInstalled(f"its source distribution has no {', '.join(lacking)}")


def default_cache() -> Path:
    """Return the folder that keeps environments between runs."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pytest-netns-foreign"
