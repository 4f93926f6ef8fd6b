"""Boot user-mode Linux on the machine's own root, run pytest in there, and end as it has ended."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

TIME_LIMIT = 3600  # seconds: enough for all tests; it boots in five
KERNEL = "mem=1G rootfstype=hostfs rw root=/dev/root rootflags=/ con=null con0=null,fd:1 quiet"
PASSED_ON = ("PATH", "HOME", "LANG", "PYTHONPATH")


def main(arguments: list[str]) -> int:
    linux = shutil.which("linux.uml")
    missing = [name for name, path in (("user-mode-linux", linux), ("kmod", shutil.which("modprobe"))) if path is None]
    if linux is None or missing:
        print(f"there is no {' and no '.join(missing)}; apt-get install {' '.join(missing)}", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the kernel is ended then, too
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        init = directory / "init"
        init.write_text(_script(directory, arguments))
        init.chmod(0o755)
        kernel = subprocess.Popen(
            [linux, *KERNEL.split(), f"init={init}"], start_new_session=True, env=os.environ | {"TMPDIR": name}
        )
        try:
            kernel.wait(TIME_LIMIT)
        except subprocess.TimeoutExpired:
            print(f"the kernel did not end within {TIME_LIMIT} s", file=sys.stderr)
        finally:
            _end(kernel)
        status = directory / "status"
        if not status.exists():
            print("the kernel ended before the tests did", file=sys.stderr)
            return 1
        return int(status.read_text())


def _script(directory: Path, arguments: list[str]) -> str:
    """Return the program that the kernel starts: to it, it gives neither arguments nor an environment of ours."""
    exports = [f"export {key}={shlex.quote(os.environ[key])}" for key in PASSED_ON if key in os.environ]
    exports += ["export PYTHONDONTWRITEBYTECODE=1 TMPDIR=/run/tmp"]
    command = shlex.join([sys.executable, "-m", "trials.second_kernel.init", str(directory), *arguments])
    return "\n".join(["#!/bin/sh", *exports, f"cd {shlex.quote(os.getcwd())}", f"exec {command}", ""])


def _end(kernel: subprocess.Popen[bytes]) -> None:
    """End the kernel and its helpers, which are a process group of their own."""
    try:
        os.killpg(kernel.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        kernel.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
