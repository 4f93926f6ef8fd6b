"""The same fixed port many times at once: twenty web servers, each on port 80 of a namespace of its own.

    test process  ----+-- host1    127.0.0.1 port 80
                      +-- host2    127.0.0.1 port 80
                      :
                      +-- host20   127.0.0.1 port 80

The second test is about many sockets at once: it connects a hundred clients to one server, with sockets that one call
of ``sockets()`` has made.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from socket import AF_INET, SOCK_NONBLOCK, SOCK_STREAM, socket

import pytest
from example_tools import show, wait_for_line

from pytest_netns import NetNS

ADDRESS = ("127.0.0.1", 80)


def start_web_server(ns: NetNS, folder: Path) -> subprocess.Popen[str]:
    folder.mkdir()
    (folder / "who").write_text(ns.label)
    command = [sys.executable, "-u", "-m", "http.server", "80", "--directory", str(folder)]
    return ns.popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def who(ns: NetNS) -> str:
    """Ask the server at port 80 of a namespace who it is."""
    with ns.create_connection(ADDRESS, timeout=10) as client, client.makefile("rw") as stream:
        stream.write("GET /who HTTP/1.0\r\n\r\n")
        stream.flush()
        return stream.read().partition("\n\n")[2]


def test_twenty_servers_on_port_80(make_netns: Callable[..., NetNS], tmp_path: Path) -> None:
    hosts = [make_netns(f"host{number}") for number in range(1, 21)]
    servers = [start_web_server(host, tmp_path / host.label) for host in hosts]
    for server in servers:
        wait_for_line(server, "Serving HTTP")

    answers = [who(host) for host in hosts]

    assert answers == [host.label for host in hosts]
    show(f"port 80 answered as {answers[0]}, {answers[1]}, ... {answers[-1]}")


@pytest.mark.asyncio
async def test_a_hundred_clients_at_once(netns: NetNS) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer):
            writer.write(b"hello " + await reader.readline())
            await writer.drain()

    async def ask(sock: socket, number: int) -> str:
        await asyncio.get_running_loop().sock_connect(sock, ADDRESS)
        reader, writer = await asyncio.open_connection(sock=sock)
        with contextlib.closing(writer):
            writer.write(b"client %d\n" % number)
            return (await reader.read()).decode().strip()

    # A server in the test process needs no waiting for: the socket listens before anything else happens.
    async with await asyncio.start_server(greet, sock=netns.create_server(ADDRESS, backlog=100)):
        clients = netns.sockets([(AF_INET, SOCK_STREAM | SOCK_NONBLOCK)] * 100)
        answers = await asyncio.gather(*(ask(sock, number) for number, sock in enumerate(clients)))

    assert answers == [f"hello client {number}" for number in range(100)]
    show(f"{len(answers)} answers, from {answers[0]!r} to {answers[-1]!r}")
