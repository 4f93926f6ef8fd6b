import os
import signal
import socket
import time

from pyroute2.process import ChildProcess


def end(*_):
    raise SystemExit


signal.signal(signal.SIGTERM, end)
parent = os.getpid()
send_fds = socket.send_fds


def send_and_be_slow(*args):
    # As on a busy machine: the parent ends the child by SIGTERM when it has the answer.
    send_fds(*args)
    time.sleep(60)


socket.send_fds = send_and_be_slow
try:
    with ChildProcess(bytes, []) as child:
        child.communicate()
finally:
    print("parent" if os.getpid() == parent else "child", "goes on", flush=True)
