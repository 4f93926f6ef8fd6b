"""Make the folder of sid if there is none, and run pytest in it, once with each Python."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from .folder import Folder

# Nothing that a run mounts, starts or opens a port for is seen by the machine, and all of it ends with the run.
APART = ("unshare", "--mount", "--propagation=private", "--net", "--pid", "--fork", "--kill-child")
EXTRAS = "test,examples"


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m trials.sid", description=__doc__)
    parser.add_argument(
        "--if-possible", action="store_true", help="say why, and succeed, where there is no such folder"
    )
    parser.add_argument("--pythons", default="3.14", help="their versions, such as '3.14 3.14t'; default: %(default)s")
    parser.add_argument("pytest", nargs="*", help="arguments of pytest")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that all is ended then, too
    folder = Folder(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "pytest-netns", "sid"))
    try:
        folder.make()
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"SKIPPED: there is no folder of Debian's sid: {error}" if options.if_possible else error, flush=True)
        return 0 if options.if_possible else 1
    failed = []
    with tempfile.TemporaryDirectory() as name:
        packages = _packages(Path(name, "packages"))
        for version in options.pythons.split():
            python = folder.python(version)
            if python is None:
                print(
                    f"SKIPPED: there is no python{version} in Debian's sid, nor in {folder.path}/usr/local", flush=True
                )
            elif _run(folder, packages, python, options.pytest):
                failed.append(version)
    if failed:
        print(f"failed on Python {', '.join(failed)}", file=sys.stderr)
    return int(bool(failed))


def _packages(target: Path) -> Path:
    """Return a directory with the packages that the tests need, fetched by the pip of this machine, as it is set up.

    They are made of Python alone, and so the same for each version. That of the project has its metadata only.
    """
    project = f"{os.getcwd()}[{EXTRAS}]"
    selection = ("--python-version=3.14", "--only-binary=:all:", f"--target={target}")
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", *selection, project], check=True)
    shutil.rmtree(target / "pytest_netns")
    target.chmod(0o755)
    return target


def _run(folder: Folder, packages: Path, python: str, arguments: list[str]) -> int:
    """Run pytest with one Python of the folder, and return its exit status."""
    inside = [sys.executable, "-m", "trials.sid.inside", str(folder.path), str(packages), python, *arguments]
    run = subprocess.Popen([*APART, *inside], stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        return run.wait()
    finally:
        run.kill()
        run.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
