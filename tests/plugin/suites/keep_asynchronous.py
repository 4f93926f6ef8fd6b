"""Programs of event loops, in namespaces that are kept: each waits until it is told, and then writes a lot."""

import asyncio
import os
import subprocess
import threading

import pytest

# It reads a line of a FIFO, writes more than a pipe has room for, and says so.
SCRIPT = "read line < {0}.go; head -c 200000 /dev/zero && echo written > {0}; exec sleep 1000"
PIPES = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
started = []


def command(name):
    os.mkfifo(f"{name}.go")
    return ["sh", "-c", SCRIPT.format(name)]


def test_asyncio(make_netns):
    async def main():
        started.append(await make_netns("asyncio").async_popen(command("asyncio"), **PIPES))
        pytest.fail("on purpose")

    asyncio.run(main())


@pytest.fixture(scope="module")
def loop():
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


def test_goes_on(make_netns, loop):
    """The event loop goes on with other tests."""
    started.append(loop.run_until_complete(make_netns("loop").async_popen(command("loop"), **PIPES)))
    pytest.fail("on purpose")


def test_loop_goes_on(loop):
    loop.run_until_complete(asyncio.sleep(0))


@pytest.fixture(scope="module")
def running_loop():
    """One that runs until the end of the process."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, daemon=True).start()
    return loop


def test_thread(make_netns, running_loop):
    starting = make_netns("thread").async_popen(command("thread"), **PIPES)
    started.append(asyncio.run_coroutine_threadsafe(starting, running_loop).result())
    pytest.fail("on purpose")


def test_trio(make_netns):
    trio = pytest.importorskip("trio")

    async def main():
        process = make_netns("trio").popen(command("trio"), **PIPES)
        async with trio.lowlevel.FdStream(os.dup(process.stdout.fileno())):
            pytest.fail("on purpose")

    trio.run(main)
