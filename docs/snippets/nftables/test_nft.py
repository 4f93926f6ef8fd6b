import shutil

import pytest

RULES = """
flush ruleset
table inet filter {
    chain input {
        type filter hook input priority 0
        tcp dport 80 reject with tcp reset
    }
}
"""


@pytest.mark.skipif(not shutil.which("nft", path="/usr/sbin:/usr/bin"), reason="install nftables")
def test_a_packet_filter(netns_pair):
    left, right = netns_pair
    left.create_server(("192.0.2.1", 80))
    right.create_connection(("192.0.2.1", 80), timeout=5).close()
    left.nft(RULES)
    with pytest.raises(ConnectionRefusedError):
        right.create_connection(("192.0.2.1", 80), timeout=5)
