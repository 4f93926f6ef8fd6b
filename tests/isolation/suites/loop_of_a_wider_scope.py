import asyncio

import pytest
import pytest_asyncio
from places import HOME, place

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server():
    async def serve(reader, writer):
        writer.write((await asyncio.to_thread(place)).to_bytes(8, "big"))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 80)
    yield place()
    server.close()
    assert await asyncio.to_thread(place) == place()


@pytest.mark.parametrize("n", range(2))
async def test_it(server, n):
    reader, writer = await asyncio.open_connection("127.0.0.1", 80)
    assert int.from_bytes(await reader.read(), "big") == server == place() != HOME
    writer.close()
    assert await asyncio.to_thread(place) == place()
