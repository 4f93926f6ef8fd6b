import pytest


@pytest.fixture(scope="session")
def lab(netns_factory):
    with netns_factory("lab", sysctl={"net.ipv4.ip_unprivileged_port_start": 0}) as ns:
        yield ns


@pytest.fixture(scope="module")
def server(lab):
    with lab.create_server(("127.0.0.1", 80)) as sock:
        yield sock
