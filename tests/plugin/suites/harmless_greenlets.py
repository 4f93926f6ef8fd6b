import os

import pytest

from pytest_netns import NetNSUnsupportedError

HOME = os.stat("/proc/self/ns/net").st_ino


@pytest.fixture(autouse=True)
def stays():
    yield
    assert os.stat("/proc/self/ns/net").st_ino == HOME


@pytest.mark.parametrize(
    "use",
    [
        lambda ns: ns.run(["true"]),
        lambda ns: ns.popen(["true"]),
        lambda ns: ns.call(len, ""),
        lambda ns: ns.thread(target=len),
        lambda ns: ns.executor(),
    ],
)
def test_refused(netns, use):
    with pytest.raises(NetNSUnsupportedError, match="has replaced threads by greenlets"):
        use(netns)


def test_sockets(netns):
    server = netns.create_server(("127.0.0.1", 80))
    _client = netns.create_connection(("127.0.0.1", 80))
    server.accept()[0].close()
    assert netns.call(os.getpid, child_mode="fork") != os.getpid()
    with netns.enter():
        pass
