import os
import shutil
import subprocess

import pytest

from pytest_netns import listening

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/bin")
# sshd wants this directory, which is then not left on the machine.
PREPARE = 'mount -t tmpfs -o mode=755 none /run && mkdir /run/sshd && exec "$@"'


@pytest.mark.skipif(SSHD is None, reason="there is no sshd; install openssh-server")
@pytest.mark.skipif(shutil.which("ssh") is None, reason="there is no ssh; install openssh-client")
@pytest.mark.skipif(not os.access("/etc/shadow", os.R_OK), reason="sshd has to log users in; run it as root")
def test_sshd(netns_pair, tmp_path):
    left, right = netns_pair
    for key in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / key], check=True)
    options = {
        "HostKey": tmp_path / "host",
        "AuthorizedKeysFile": tmp_path / "user.pub",
        "StrictModes": "no",
        "PermitRootLogin": "yes",
        "PidFile": "none",
    }
    sshd = [SSHD, "-D", "-e", "-f", "/dev/null", *(f"-o{key}={value}" for key, value in options.items())]
    left.popen(
        ["unshare", "-m", "sh", "-c", PREPARE, "sh", *sshd],
        stderr=subprocess.PIPE,
        ready=listening(22, address="192.0.2.1"),
    )
    known = ["-oStrictHostKeyChecking=no", "-oUserKnownHostsFile=/dev/null"]
    ssh = ["ssh", "-q", "-i", tmp_path / "user", *known, "root@192.0.2.1", "echo $SSH_CONNECTION"]
    shown = right.run(ssh, capture_output=True, text=True, check=True, timeout=60)
    assert shown.stdout.split()[::2] == ["192.0.2.2", "192.0.2.1"]
