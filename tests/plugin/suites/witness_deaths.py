"""Tests in which their process dies, each in another way."""

import os
import signal
import threading

import pytest


@pytest.mark.parametrize("by", ["kill", "exit", "time_limit", "hang"])
def test_death(netns, by):
    netns.run(["ip", "route", "add", "198.51.100.0/24", "dev", "lo"], check=True)
    sender = netns.socket(2, 2)
    sender.sendto(b"nobody is there", ("127.0.0.1", 9))
    listening = netns.create_server(("127.0.0.1", 80))
    client = netns.create_connection(("127.0.0.1", 80))
    client.sendall(b"hello")
    if by == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if by == "exit":
        os._exit(3)
    if by == "time_limit":  # as its timer does, when the time is over
        (timer,) = (one for one in threading.enumerate() if isinstance(one, threading.Timer))
        threading.Thread(target=timer.function, args=timer.args).start()
    if by == "hang":
        open("hangs", "w").close()  # a FIFO, by which it says so
    client.recv(100)
    assert listening
