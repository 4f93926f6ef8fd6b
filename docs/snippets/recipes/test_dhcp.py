import shutil
import subprocess

import pytest

from pytest_netns import listening

DNSMASQ, UDHCPC = (shutil.which(name, path="/usr/sbin:/usr/bin:/sbin") for name in ("dnsmasq", "udhcpc"))
SCRIPT = """#!/bin/sh
[ "$1" != bound ] || exec ip address add "$ip/$mask" dev "$interface"
"""


@pytest.mark.skipif(DNSMASQ is None, reason="there is no dnsmasq; install dnsmasq-base")
@pytest.mark.skipif(UDHCPC is None, reason="there is no udhcpc; install udhcpc")
def test_dhcp(netns_pair, tmp_path):
    left, right = netns_pair
    left.popen(
        [
            *(DNSMASQ, "--no-daemon", "--conf-file=/dev/null", "--port=0", "--interface=eth0"),
            *("--dhcp-range=192.0.2.50,192.0.2.59,255.255.255.0", "--dhcp-authoritative", "--no-ping"),
            f"--dhcp-leasefile={tmp_path}/leases",
        ],
        stderr=subprocess.PIPE,
        ready=listening(67, "udp"),
    )
    script = tmp_path / "script"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    right.ipr.flush_addr(family=2)  # AF_INET: the address that netns_pair has given
    client = [UDHCPC, "-i", "eth0", "-f", "-q", "-n", "-s", script]
    right.run(client, check=True, timeout=60, stderr=subprocess.DEVNULL)
    addresses = [address.get("address") for address in right.ipr.get_addr(family=2, label="eth0")]
    assert [address.startswith("192.0.2.5") for address in addresses] == [True]
    left.create_server(("192.0.2.1", 80))
    right.create_connection(("192.0.2.1", 80), timeout=5)
