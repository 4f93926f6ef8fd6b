import os
import subprocess
import sys

import trio

from pytest_netns import listening

HTTP = [sys.executable, "-m", "http.server", "80"]


async def test_program(netns):
    server = await netns.async_popen(HTTP, stderr=subprocess.PIPE, ready=listening(80))
    netns.create_connection(("127.0.0.1", 80)).close()
    server.terminate()
    assert await server.wait() != 0


async def echo(netns):
    program = netns.popen(["echo", "hello"], stdout=subprocess.PIPE)
    async with trio.lowlevel.FdStream(os.dup(program.stdout.fileno())) as stream:
        told = await stream.receive_some()
    return told, await trio.to_thread.run_sync(program.wait)


def test_program_under_trio(netns):
    assert trio.run(echo, netns) == (b"hello\n", 0)
