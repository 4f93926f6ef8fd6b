import os
import signal

import pytest


def test_ends(netns):
    netns.reach("127.0.0.1")
    how = os.environ["HOW"]
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif how == "interrupt":
        os.kill(os.getpid(), signal.SIGINT)
    elif how == "abort":
        os._exit(3)
    elif how == "exit":
        pytest.exit("enough")
