import asyncio
import contextlib
import http.client
import http.server
import socket

import pytest
from mode import SCOPE, mark


@pytest.fixture(scope=SCOPE)
def server():
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as server:
        yield server.server_port


class TestIt:
    @mark
    def test_plain(self, server):
        socket.create_connection(("127.0.0.1", server))

    @mark
    def test_asyncio(self, server):
        asyncio.run(asyncio.open_connection("127.0.0.1", server))

    @mark
    def test_wrapped(self, server):
        http.client.HTTPConnection("localhost", server).connect()

    @mark
    def test_nobody_listens(self):
        socket.create_connection(("127.0.0.1", 1))

    @mark
    def test_another_reason(self, server):
        with contextlib.suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", server))
        assert not server
