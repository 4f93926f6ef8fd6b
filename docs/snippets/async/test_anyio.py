import anyio
import pytest
from anyio.abc import SocketListener, SocketStream


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


async def echo(stream):
    async with stream:
        await stream.send(await stream.receive())


@pytest.mark.anyio
async def test_anyio(netns, anyio_backend):
    listener = await SocketListener.from_socket(netns.create_server(("127.0.0.1", 7)))
    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, echo)
        connected = netns.create_connection(("127.0.0.1", 7))
        async with await SocketStream.from_socket(connected) as stream:
            await stream.send(b"hello")
            assert await stream.receive() == b"hello"
        tasks.cancel_scope.cancel()
