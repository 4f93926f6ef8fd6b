import pytest


@pytest.mark.netns_topology("client -- router -- server")
def test_picture(netns_topology):
    print(netns_topology)
    assert netns_topology.svg().startswith("<svg")
