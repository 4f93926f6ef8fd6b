"""What takes an environment of its own: other Pythons, the oldest and newest versions, what is released."""

from __future__ import annotations

import shutil
import sys
import tarfile
from pathlib import Path

import nox
from packaging.requirements import Requirement

PYTHONS = ["3.10", "3.11", "3.12", "3.13", "3.14", "3.14t"]

# What leans most on pytest, pytest-xdist, pyroute2 and the event loops. The rest of the tests are about Linux and us.
LEANING = ("plugin", "settings", "xdist", "netlink", "pyroute2", "sockets_async", "async_programs")
DIST = Path("dist")

nox.needs_version = ">=2024.10"
nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True


@nox.session(python=[python for python in PYTHONS if python != f"{sys.version_info[0]}.{sys.version_info[1]}"])
def smoke(session: nox.Session) -> None:
    """Run the tests marked as smoke tests."""
    session.install("--quiet", "--editable", ".[test]")
    session.run("pytest", "-q", "-m", "smoke", *session.posargs)


@nox.session(python=next(filter(lambda version: shutil.which(f"python{version}"), PYTHONS), None))
def lowest(session: nox.Session) -> None:
    """Run tests with the lowest version of each package that pyproject.toml allows, on the lowest Python there is."""
    constraints = Path(session.create_tmp(), "lowest.txt")
    constraints.write_text("".join(f"{name}=={version}\n" for name, version in lower_bounds().items()))
    session.install("--quiet", "--editable", ".[test]", "--constraint", str(constraints))
    run_leaning(session)


@nox.session
def newest(session: nox.Session) -> None:
    """Run tests with the newest version of each package; with ``--pre``, pre-releases too."""
    early = [argument for argument in session.posargs if argument == "--pre"]
    session.install("--quiet", "--editable", ".[test]", "--upgrade", "--upgrade-strategy=eager", *early)
    run_leaning(session)


def lower_bounds() -> dict[str, str]:
    """Return the lowest version of each package that the tests take, as pyproject.toml says it."""
    project = nox.project.load_toml("pyproject.toml")["project"]
    extras = project["optional-dependencies"]
    lines = [*project["dependencies"], *extras["xdist"], *extras["dns"], *extras["test"]]
    requirements = [Requirement(line) for line in lines]
    return {
        requirement.name: specifier.version
        for requirement in requirements
        for specifier in requirement.specifier
        if specifier.operator == ">="
    }


def run_leaning(session: nox.Session) -> None:
    """Run the modules that lean on others, and the smoke tests of the rest.

    Each of the modules is run whole: without its smoke tests, a loop that pytest-asyncio before 1.4 leaves open (its
    issue 724) fails two tests of tests/test_netlink.py.
    """
    session.run("pip", "list", "--disable-pip-version-check")
    options = ("-q", *(argument for argument in session.posargs if argument != "--pre"))
    modules = [str(path) for name in LEANING for path in Path("tests").rglob(f"test_{name}.py")]
    if len(modules) != len(LEANING):
        session.error(f"there is not one module for each of {', '.join(LEANING)}, but only {', '.join(modules)}")
    session.run("pytest", *options, "-m", "not ordinary_user", *modules)
    session.run("pytest", *options, "-m", "smoke", "tests", *(f"--ignore={path}" for path in modules))


@nox.session
def dist(session: nox.Session) -> None:
    """Build what is released into dist/, and check it."""
    for old in DIST.glob("pytest_netns-*"):
        old.unlink()
    session.install("--quiet", "--upgrade", "build", "twine", "check-wheel-contents")
    session.run("python", "-m", "build", "--outdir", str(DIST))
    session.run("twine", "check", "--strict", *map(str, DIST.iterdir()))
    session.run("check-wheel-contents", *map(str, DIST.glob("*.whl")))


@nox.session
def installed(session: nox.Session) -> None:
    """Run a test with the wheel of dist/ as a user would, and the smoke tests of the source distribution."""
    (wheel,), (source,) = DIST.glob("*.whl"), DIST.glob("*.tar.gz")
    folder = Path(session.create_tmp())
    session.install("--quiet", "--force-reinstall", f"{wheel}[test]")
    snippet = shutil.copy("docs/snippets/first/test_echo.py", folder)
    with tarfile.open(source) as archive:
        archive.extractall(folder, filter="data")
    options = ("-q", "-p", "no:cacheprovider", *session.posargs)
    session.run("pytest", *options, "-c", "/dev/null", "--rootdir", str(folder), snippet)
    session.chdir(folder / source.name.removesuffix(".tar.gz"))
    session.run("pytest", *options, "-m", "smoke", "tests")
