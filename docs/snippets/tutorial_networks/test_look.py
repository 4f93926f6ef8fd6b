import pytest


@pytest.mark.netns_topology("client -- router -- server")
def test_look(netns_topology):
    for name in netns_topology:
        host = netns_topology[name]
        shown = host.run(["ip", "-4", "route"], capture_output=True, text=True, check=True).stdout
        print(f"{name} ({host.kind})", shown, sep="\n")
