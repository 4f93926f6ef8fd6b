import trio


async def echo(stream):
    await stream.send_all(await stream.receive_some())


async def ask(netns):
    listening = netns.create_server(("127.0.0.1", 7))
    listener = trio.SocketListener(trio.socket.from_stdlib_socket(listening))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, echo, [listener])
        client = trio.socket.from_stdlib_socket(netns.socket())
        await client.connect(("127.0.0.1", 7))
        async with trio.SocketStream(client) as stream:
            await stream.send_all(b"hello")
            answer = await stream.receive_some()
        nursery.cancel_scope.cancel()
    return answer


def test_trio(netns):
    assert trio.run(ask, netns) == b"hello"
