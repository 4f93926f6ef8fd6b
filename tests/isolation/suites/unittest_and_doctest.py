import unittest

from places import HOME, place


def double(n):
    """
    >>> import os
    >>> os.stat("/proc/self/ns/net").st_ino == HOME
    False
    """


class TestOld(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        assert place() == HOME

    def setUp(self):
        self.place = place()
        self.addCleanup(lambda: self.assertEqual(place(), self.place))  # noqa: PT009 (in a lambda)

    def test_inside(self):
        assert place() == self.place != HOME


class TestAsync(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self):
        assert place() != HOME

    async def test_inside(self):
        assert place() != HOME
