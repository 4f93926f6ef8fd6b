"""The first process of a run, in namespaces of its own: it makes the folder a system, and has pytest run in there.

The folder itself stays as it is: what a run writes is in memory (overlayfs), and goes with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

MOUNTED = Path("/mnt")  # seen by this run alone
ENVIRONMENT = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PATH": "/venv/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
}
MOUNTS = (
    ("proc", "proc", "proc"),
    ("sysfs", "sysfs", "sys"),
    ("tmpfs", "tmpfs", "run"),
    ("tmpfs", "tmpfs", "tmp"),
)


def main(folder: str, packages: str, python: str, *arguments: str) -> None:
    """Run pytest, and end as it has ended.

    :param folder: that of sid.
    :param packages: what pytest is to import.
    :param python: the path, in the folder, of the Python to run.
    """
    project = os.getcwd()
    _mount("tmpfs", "tmpfs", MOUNTED)
    root = MOUNTED / "root"
    layers = {"lowerdir": Path(folder), "upperdir": MOUNTED / "upper", "workdir": MOUNTED / "work"}
    for path in (root, layers["upperdir"], layers["workdir"]):
        path.mkdir()
    _mount("overlay", "overlay", root, ",".join(f"{name}={path}" for name, path in layers.items()))
    for kind, source, target in MOUNTS:
        _mount(kind, source, root / target)
    _show("/dev", root)
    _mount("tmpfs", "tmpfs", root / "dev/shm")
    for shown in (project, packages):
        _show(shown, root)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    # Not chroot(2), in which nobody may make a user namespace (user_namespaces(7)).
    subprocess.run(["pivot_root", ".", "mnt"], check=True, cwd=root)
    os.chdir(project)
    subprocess.run(["umount", "--lazy", "/mnt"], check=True, env=ENVIRONMENT)
    _make_environment(python, packages, project)
    pytest = subprocess.Popen(["/venv/bin/python", "-m", "pytest", *arguments], env=ENVIRONMENT)
    while True:
        pid, status = os.wait()  # for those too whose parents have ended, as the first process does
        if pid == pytest.pid:
            sys.exit(os.waitstatus_to_exitcode(status))


def _mount(kind: str, source: str, target: Path, options: str = "defaults") -> None:
    subprocess.run(["mount", "-t", kind, "-o", options, source, target], check=True)


def _show(path: str, root: Path) -> None:
    """Have a directory of the machine at the same place in the folder."""
    target = root / path.lstrip("/")
    target.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "--rbind", path, target], check=True)


def _make_environment(python: str, *paths: str) -> None:
    """Make a virtual environment that has what is in these directories."""
    subprocess.run([python, "-m", "venv", "--without-pip", "/venv"], check=True, env=ENVIRONMENT)
    (site,) = Path("/venv/lib").glob("python*/site-packages")
    (site / "paths.pth").write_text("\n".join(paths))


if __name__ == "__main__":
    main(*sys.argv[1:])
