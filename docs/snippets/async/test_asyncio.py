import asyncio
import socket


async def echo(reader, writer):
    writer.write(await reader.readline())
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def test_streams(netns):
    async with await asyncio.start_server(echo, sock=netns.create_server(("127.0.0.1", 7))):
        client = netns.socket()
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", 7))
        reader, writer = await asyncio.open_connection(sock=client)
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        writer.close()
        await writer.wait_closed()


class Received(asyncio.DatagramProtocol):
    def __init__(self):
        self.first = asyncio.get_running_loop().create_future()

    def datagram_received(self, data, address):
        if not self.first.done():
            self.first.set_result(data)


async def test_datagrams(netns_pair):
    left, right = netns_pair
    loop = asyncio.get_running_loop()
    bound = left.socket(type=socket.SOCK_DGRAM)
    bound.bind(("192.0.2.1", 53))
    transport, protocol = await loop.create_datagram_endpoint(Received, sock=bound)
    sender = right.socket(type=socket.SOCK_DGRAM)
    sender.sendto(b"hello", ("192.0.2.1", 53))
    assert await asyncio.wait_for(protocol.first, 5) == b"hello"
    transport.close()
