"""Start the recorder: ``python -I -S <this file> CONTROL PARENT KEYS``."""

import os
import sys

# At the end, so that nothing that is installed beside this package can stand in for the standard library.
sys.path.append(os.path.abspath(__file__).rsplit(os.sep, 4)[0])

from pytest_netns._capture.program.startup import main

main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
