"""A web server, Python's own ``http.server``, on port 80 of a namespace, and four clients in the test process.

    test process                        netns, which has loopback only
    asyncio, trio, http.client          http.server
    a socket of the namespace  ------>  127.0.0.1 port 80

asyncio, trio and http.client take a socket that belongs to the namespace. A client that takes none makes its own inside
``netns.enter()``.
"""

from __future__ import annotations

import asyncio
import http.client
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import trio
from example_tools import show, wait_for_line

from pytest_netns import NetNS

ADDRESS = ("127.0.0.1", 80)
PAGE = "Hello from a namespace.\n"
REQUEST = b"GET /index.html HTTP/1.0\r\n\r\n"


@pytest.fixture
def web_server(netns: NetNS, tmp_path: Path) -> subprocess.Popen[str]:
    """A server of one page in ``netns``; it ends with the namespace."""
    (tmp_path / "index.html").write_text(PAGE)
    server = netns.popen(
        [sys.executable, "-u", "-m", "http.server", "80", "--directory", tmp_path],  # -u: no buffer holds the line back
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_for_line(server, "Serving HTTP")
    return server


def check(response: bytes) -> None:
    head, _, body = response.decode().partition("\r\n\r\n")
    assert head.startswith("HTTP/1.0 200 ")
    assert body == PAGE
    show(head, body)


@pytest.mark.asyncio
@pytest.mark.usefixtures("web_server")
async def test_asyncio(netns: NetNS) -> None:
    sock = netns.create_connection(ADDRESS)  # the kernel accepts at once, so this blocks no other task
    reader, writer = await asyncio.open_connection(sock=sock)
    writer.write(REQUEST)
    response = await reader.read()
    writer.close()
    await writer.wait_closed()
    check(response)


@pytest.mark.usefixtures("web_server")
def test_trio(netns: NetNS) -> None:
    async def fetch() -> bytes:
        sock = trio.socket.from_stdlib_socket(netns.socket())
        await sock.connect(ADDRESS)
        async with trio.SocketStream(sock) as stream:
            await stream.send_all(REQUEST)
            return b"".join([chunk async for chunk in stream])

    check(trio.run(fetch))


@pytest.mark.usefixtures("web_server")
def test_http_client_with_our_socket(netns: NetNS) -> None:
    with closing(http.client.HTTPConnection(*ADDRESS)) as client:
        client.sock = netns.create_connection(ADDRESS)
        client.request("GET", "/index.html")
        response = client.getresponse()
        assert (response.status, response.read().decode()) == (200, PAGE)
        show(f"{response.status} {response.reason}, from {response.headers['Server']}")


def test_http_client_with_its_own_socket(netns: NetNS, web_server: subprocess.Popen[str]) -> None:
    with closing(http.client.HTTPConnection(*ADDRESS)) as client:
        with netns.enter():
            client.connect()  # what counts is where the socket is made; from here on it can be used anywhere
        client.request("GET", "/missing.html")
        assert client.getresponse().status == 404
    show(wait_for_line(web_server, "GET /missing.html"))
