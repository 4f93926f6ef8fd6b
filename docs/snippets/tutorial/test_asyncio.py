import asyncio


async def echo(reader, writer):
    writer.write(await reader.readline())
    await writer.drain()
    writer.close()
    await writer.wait_closed()


async def ask(netns):
    listening = netns.create_server(("127.0.0.1", 80))
    async with await asyncio.start_server(echo, sock=listening):
        connected = netns.create_connection(("127.0.0.1", 80))
        reader, writer = await asyncio.open_connection(sock=connected)
        writer.write(b"hello\n")
        answer = await reader.read()
        writer.close()
        await writer.wait_closed()
        return answer


def test_echo_in_asyncio(netns):
    assert asyncio.run(ask(netns)) == b"hello\n"
