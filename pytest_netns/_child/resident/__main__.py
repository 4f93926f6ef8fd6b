"""Start the resident child: ``python -I -S <this file> CONTROL PARENT HOME RECORD USERNS MOUNTS``."""

import os
import sys

# At the end, so that nothing that is installed beside this package can stand in for the standard library.
sys.path.append(os.path.abspath(__file__).rsplit(os.sep, 4)[0])

from pytest_netns._child.resident.startup import main

main(*map(int, sys.argv[1:]))
