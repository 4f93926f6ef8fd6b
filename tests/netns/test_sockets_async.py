"""Sockets of a namespace in asyncio, trio and anyio: each a real exchange."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.abc
import pytest
import trio

from pytest_netns import NetNS

pytestmark = pytest.mark.core

ANY = ("127.0.0.1", 0)
LONG = 60.0  # seconds: how long a test may hang before it fails; none waits for it

Main = Callable[[NetNS], Awaitable[bytes]]


def datagram_pair(netns: NetNS) -> tuple[socket.socket, socket.socket]:
    """Return two datagram sockets that are connected to each other."""
    left, right = netns.sockets([(socket.AF_INET, socket.SOCK_DGRAM)] * 2)
    left.bind(ANY)
    right.bind(ANY)
    left.connect(right.getsockname())
    right.connect(left.getsockname())
    return left, right


async def asyncio_streams(netns: NetNS) -> bytes:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(5))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    listening, sock = netns.create_server(ANY), netns.socket()
    sock.setblocking(False)
    async with await asyncio.start_server(echo, sock=listening):
        await asyncio.get_running_loop().sock_connect(sock, listening.getsockname())
        reader, writer = await asyncio.open_connection(sock=sock)
        writer.write(b"hello")
        received = await reader.read()
        writer.close()
        await writer.wait_closed()
    return received


class Received(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.data: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.data.set_result(data)


async def asyncio_datagrams(netns: NetNS) -> bytes:
    loop = asyncio.get_running_loop()
    left, right = datagram_pair(netns)
    sending, _ = await loop.create_datagram_endpoint(Received, sock=left)
    receiving, protocol = await loop.create_datagram_endpoint(Received, sock=right)
    sending.sendto(b"hello")
    received = await protocol.data
    sending.close()
    receiving.close()
    await asyncio.sleep(0)  # the transports close their sockets in the loop's next turn
    return received


async def asyncio_low_level(netns: NetNS) -> bytes:
    loop = asyncio.get_running_loop()
    with netns.create_server(ANY) as server, netns.socket() as client:
        server.setblocking(False)
        client.setblocking(False)
        await loop.sock_connect(client, server.getsockname())
        accepted, _ = await loop.sock_accept(server)
        with accepted:
            await loop.sock_sendall(client, b"hello")
            return await loop.sock_recv(accepted, 100)


async def trio_streams(netns: NetNS) -> bytes:
    async def echo(stream: trio.SocketStream) -> None:
        async with stream:
            await stream.send_all(await stream.receive_some(100))

    server = trio.socket.from_stdlib_socket(netns.create_server(ANY))
    client = trio.socket.from_stdlib_socket(netns.socket())
    async with trio.open_nursery() as nursery:
        await nursery.start(trio.serve_listeners, echo, [trio.SocketListener(server)])
        await client.connect(server.getsockname())
        async with trio.SocketStream(client) as stream:
            await stream.send_all(b"hello")
            received = bytes(await stream.receive_some(100))
        nursery.cancel_scope.cancel()
    return received


async def trio_datagrams(netns: NetNS) -> bytes:
    left, right = (trio.socket.from_stdlib_socket(sock) for sock in datagram_pair(netns))
    with left, right:
        await left.send(b"hello")
        return await right.recv(100)


async def anyio_streams(netns: NetNS) -> bytes:
    with netns.create_server(ANY) as server:
        connected = netns.create_connection(server.getsockname())
        accepted, _ = server.accept()
    async with await anyio.abc.SocketStream.from_socket(connected) as client:
        async with await anyio.abc.SocketStream.from_socket(accepted) as stream:
            await client.send(b"hello")
            return await stream.receive()


async def anyio_datagrams(netns: NetNS) -> bytes:
    left, right = datagram_pair(netns)
    async with await anyio.abc.ConnectedUDPSocket.from_socket(left) as sending:
        async with await anyio.abc.ConnectedUDPSocket.from_socket(right) as receiving:
            await sending.send(b"hello")
            return await receiving.receive()


@pytest.mark.parametrize("main", [asyncio_streams, asyncio_datagrams, asyncio_low_level])
def test_asyncio(netns: NetNS, main: Main) -> None:
    assert asyncio.run(asyncio.wait_for(main(netns), LONG)) == b"hello"


@pytest.mark.parametrize("main", [trio_streams, trio_datagrams])
def test_trio(netns: NetNS, main: Main) -> None:
    async def bounded() -> bytes:
        with trio.fail_after(LONG):
            return await main(netns)

    assert trio.run(bounded) == b"hello"


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("main", [anyio_streams, anyio_datagrams])
def test_anyio(netns: NetNS, main: Main, backend: str) -> None:
    async def bounded() -> bytes:
        with anyio.fail_after(LONG):
            return await main(netns)

    assert anyio.run(bounded, backend=backend) == b"hello"
