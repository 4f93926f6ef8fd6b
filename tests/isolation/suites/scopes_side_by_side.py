import pytest
from places import HOME, place

pytestmark = pytest.mark.netns_isolate(scope="module")
SEEN = {}


@pytest.fixture(scope="module")
def wide():
    at = place()
    assert at != HOME
    yield at
    assert place() == at


def test_one(wide):
    assert place() == wide


@pytest.mark.netns_isolate
def test_alone():
    SEEN["alone"] = place()
    assert place() != HOME


def test_two(wide):
    assert place() == wide != SEEN["alone"]


class TestClass:
    pytestmark = pytest.mark.netns_isolate(scope="class")

    def test_one(self, netns):
        SEEN["class"] = netns.inode
        assert place() == netns.inode

    def test_two(self, netns, make_netns):
        assert place() == netns.inode == SEEN["class"]
        assert make_netns().inode != netns.inode


def test_three(wide, request):
    assert place() == wide == request.getfixturevalue("netns").inode
