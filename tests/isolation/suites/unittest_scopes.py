import socket
import unittest

from places import HOME, place


class TestOld(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        assert place() != HOME
        cls.server = socket.create_server(("127.0.0.1", 80))
        cls.place = place()

    @classmethod
    def tearDownClass(cls):
        assert place() == cls.place
        cls.server.close()

    def test_one(self):
        socket.create_connection(("127.0.0.1", 80)).close()

    def test_two(self):
        assert place() == self.place
        socket.create_connection(("127.0.0.1", 80)).close()


class TestOther(TestOld):
    pass
