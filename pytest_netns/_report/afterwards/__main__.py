"""Tell of namespaces: ``python -I -S <this file> PARENT RUNNING OUT SECONDS LEFT_OUT [FD LO LABEL]...``."""

import sys

# At the end, so that nothing that is installed beside this package can stand in for the standard library.
sys.path.append(__file__.rsplit("/", 4)[0])

from pytest_netns._report.afterwards.telling import main

main(*sys.argv[1:])
