import asyncio
import subprocess

import pytest


def begin(netns, script, **kwargs):
    return netns.popen(["sh", "-c", script + "; echo ready; exec sleep 1000"], **kwargs)


def read_until_ready(stream):
    while stream.readline().strip() not in ("ready", b"ready"):
        pass


@pytest.mark.parametrize("kwargs", [{"text": True}, {}], ids=["text", "binary"])
def test_failed(netns, kwargs):
    kwargs.update(stdout=subprocess.PIPE)
    process = begin(netns, "echo first; echo and an error >&2", stderr=subprocess.PIPE, **kwargs)
    read_until_ready(process.stdout)
    ended = netns.popen(["sh", "-c", "echo gave up; exit 3"], **kwargs)
    ended.wait()
    pytest.fail("on purpose")


def test_failed_async(netns):
    async def main():
        process = await netns.async_popen(["sh", "-c", "echo read; echo unread; exit 4"], stdout=subprocess.PIPE)
        await process.stdout.readline()
        await process.wait()
        pytest.fail("on purpose")

    asyncio.run(main())


@pytest.fixture
def server(netns):
    process = netns.popen(["sh", "-c", "echo no such option; exit 2"], stdout=subprocess.PIPE)
    process.wait()
    raise RuntimeError("no server")


def test_failed_in_setup(server):
    pass


def test_passed(netns):
    netns.popen(["sh", "-c", "echo of a test that passed; exit 0"], stdout=subprocess.PIPE).wait()


def test_closed(netns):
    process = netns.popen(["sh", "-c", "echo nobody wants to know"], stdout=subprocess.PIPE)
    process.wait()
    process.stdout.close()
    pytest.fail("on purpose")
