"""The first process of the user-mode kernel: it makes the place one to run tests in, and then runs them.

The root file system is the machine's own (hostfs), so the Python and the packages are those that the driver has.
"""

from __future__ import annotations

import ctypes
import os
import resource
import subprocess
import sys
from pathlib import Path

RB_AUTOBOOT, RB_POWER_OFF = 0x01234567, 0x4321FEDC  # reboot(2)
DESCRIPTORS = 65536  # as many as a usual machine allows; the kernel's own default is 1024
MODULES = "/usr/lib/uml/modules"
MOUNTS = (
    ("proc", "proc", "/proc"),
    ("sysfs", "sysfs", "/sys"),
    ("tmpfs", "tmpfs", "/run"),  # UNIX sockets and names cannot be on hostfs
    ("tmpfs", "tmpfs", "/dev/shm"),
    ("devpts", "devpts", "/dev/pts"),
)


def main(directory: str, *arguments: str) -> None:
    """Run pytest with these arguments, and leave its exit status in a file of the driver's directory."""
    status = 1
    try:
        for kind, source, target in MOUNTS:
            if target.startswith("/dev/"):
                Path(target).mkdir(exist_ok=True)
            subprocess.run(["mount", "-t", kind, source, target], check=True)
        _let_modules_load()
        for name, number in (("fd", ""), ("stdin", "/0"), ("stdout", "/1"), ("stderr", "/2")):
            os.symlink(f"/proc/self/fd{number}", f"/dev/{name}")
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        Path("/run/tmp").mkdir()
        # A module of tunnels adds a link of its own to each new namespace, if nobody tells it not to.
        Path("/proc/sys/net/core/fb_tunnels_only_for_init_net").write_text("2")
        resource.setrlimit(resource.RLIMIT_NOFILE, (DESCRIPTORS, DESCRIPTORS))
        command = [sys.executable, "-m", "pytest", *arguments]
        status = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
    finally:
        Path(directory, "status").write_text(str(status))
        os.sync()
        ctypes.CDLL(None).reboot(ctypes.c_uint(RB_POWER_OFF))


def _let_modules_load() -> None:
    """Have the kernel load its modules from the package's own folder, which is not where modprobe looks."""
    Path("/run/root/lib").mkdir(parents=True)
    os.symlink(MODULES, "/run/root/lib/modules")
    script = Path("/run/modprobe")
    script.write_text('#!/bin/sh\nexec /sbin/modprobe --dirname /run/root "$@"\n')
    script.chmod(0o755)
    Path("/proc/sys/kernel/modprobe").write_text(str(script))
    subprocess.run([script, "tun"], check=True)  # makes /dev/net/tun, without which nothing would load it


if __name__ == "__main__":
    main(*sys.argv[1:])
