"""The folder of Debian's sid, made once and kept in the user's cache."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

# What debootstrap mounts is seen by itself alone.
APART = ("unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child")
PACKAGES = "iproute2 dnsmasq-base openssh-server openssh-client uidmap passwd util-linux"
SCRIPT = f"""
set -eu
mount -t proc proc "$1/proc"
chroot "$1" sh -eu <<'END'
export DEBIAN_FRONTEND=noninteractive
# A mirror of it may lag behind by more than the week that its list is valid.
apt-get update -q -o Acquire::Check-Valid-Until=false
pythons=$(apt-cache pkgnames python3. | grep -xE 'python3[.](1[4-9]|[2-9][0-9])(t|-nogil)?(-venv)?')
apt-get install -q -y --no-install-recommends {PACKAGES} $pythons
apt-get clean
rm -rf /var/lib/apt/lists/*
echo '127.0.0.1 localhost' >/etc/hosts
END
"""
LABEL = "etc/pytest-netns-sid"  # says how it was made


class Folder:
    """A folder with the newest Pythons.

    :param path: where it is, or is to be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def make(self) -> None:
        """Make it, unless it is there and was made in the same way.

        :raises OSError: it cannot be made.
        :raises subprocess.CalledProcessError: likewise; what went wrong is on the standard output.
        """
        if os.geteuid() != 0:
            raise PermissionError("debootstrap and chroot take root; run it by sudo")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(f"{self.path}.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # runs that begin at the same time wait for one of them
            label = self.path / LABEL
            if label.exists() and label.read_text() == SCRIPT:
                return
            if not shutil.which("debootstrap"):
                _run("apt-get", "install", "-q", "-y", "--no-install-recommends", "debootstrap")
            new = Path(f"{self.path}.new")
            for folder in (new, self.path):
                shutil.rmtree(folder, ignore_errors=True)
            _run(*APART, "debootstrap", "--variant=minbase", "sid", str(new), _mirror())
            _run(*APART, "sh", "-c", SCRIPT, "sh", str(new))
            (new / LABEL).write_text(SCRIPT)
            new.rename(self.path)

    def python(self, version: str) -> str | None:
        """Return the path inside of a Python such as 3.14 or 3.14t, or ``None`` if there is none.

        Who has built one that Debian lacks puts it under usr/local.
        """
        names = (f"usr/local/bin/python{version}", f"usr/bin/python{version}", f"usr/bin/python{version[:-1]}-nogil")
        return next((f"/{name}" for name in names if (self.path / name).exists()), None)


def _run(*command: str) -> None:
    print(f"$ {' '.join(command[:8])}", flush=True)
    subprocess.run(command, stdin=subprocess.DEVNULL, check=True)


def _mirror() -> str:
    """Return the mirror of Debian that this machine takes its own packages from."""
    command = ["apt-get", "indextargets", "--format=$(REPO_URI)", "Created-By: Packages", "Label: Debian"]
    mirrors = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    if not mirrors:
        raise FileNotFoundError("apt knows no mirror of Debian")
    return mirrors[0]
