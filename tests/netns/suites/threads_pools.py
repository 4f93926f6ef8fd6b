import asyncio
from concurrent.futures import ThreadPoolExecutor

import anyio
import pytest
import trio


def links(netns):
    return [link.get("ifname") for link in netns.ipr.get_links()]


@pytest.fixture(scope="session")
def pool():
    with ThreadPoolExecutor() as pool:
        yield pool


def test_a_pool_of_a_wider_fixture(pool, netns):
    assert pool.submit(links, netns).result() == ["lo"]


@pytest.mark.asyncio
async def test_the_pool_of_asyncio(netns):
    assert await asyncio.to_thread(links, netns) == ["lo"]


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_the_pool_of_anyio(netns, backend):
    assert anyio.run(anyio.to_thread.run_sync, links, netns, backend=backend) == ["lo"]


def test_the_cache_of_trio(netns):
    assert trio.run(trio.to_thread.run_sync, links, netns) == ["lo"]
