import shutil
import subprocess

import pytest

from pytest_netns import output

TCPDUMP = shutil.which("tcpdump", path="/usr/sbin:/usr/bin")


@pytest.mark.netns_requires("users")
@pytest.mark.skipif(TCPDUMP is None, reason="there is no tcpdump; install tcpdump")
def test_tcpdump(netns_pair):
    left, right = netns_pair
    # --immediate-mode and -l show each packet at once; -Z root keeps the user, but sets its groups.
    tcpdump = right.popen(
        [TCPDUMP, "-i", "eth0", "-n", "-l", "--immediate-mode", "-Z", "root", "tcp port 80"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        ready=output("^listening on eth0"),
    )
    left.create_server(("192.0.2.1", 80))
    right.create_connection(("192.0.2.1", 80), timeout=5)
    assert "> 192.0.2.1.80: Flags [S]" in tcpdump.stdout.readline()
