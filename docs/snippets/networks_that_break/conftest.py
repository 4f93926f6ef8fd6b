import pytest


@pytest.fixture(scope="module")
def lab(netns_topology_factory):
    with netns_topology_factory("client -- router -- server") as net:
        yield net


@pytest.fixture
def net(lab):
    yield lab
    lab.reset()
