import pytest
from mode import IS_OPTION, mark
from places import HOME, place


@pytest.fixture(scope="module", params=["a", "b", "c"])
def wide(request):
    at = place()
    yield
    assert place() == at


@pytest.fixture(scope="class", autouse=True)
def of_class(wide):
    at = place()
    yield
    assert place() == at


class TestIt:
    @mark
    def test_one(self, wide):
        assert place() != HOME

    def test_two(self, wide):
        assert place() == HOME or IS_OPTION


@pytest.fixture(scope="class", params=[1, 2])
def narrower(request):
    at = place()
    yield
    assert place() == at


@mark
def test_three(narrower):
    pass
