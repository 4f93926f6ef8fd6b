"""The chaos run: in each round a run of pytest is started, one of its processes killed, and nothing may be left.

What is killed is the controller, a worker of pytest-xdist, a resident child, a child of a mode, or a command. The run
goes on where it can: it has to end, with at most the test failed that was hit. Two seconds after its end, none of its
processes, names, mounts, namespaces and records may be there.

The end is that of the last process that runs tests. A worker whose controller was killed finds out by itself: execnet
sees the connection close and gives the test that runs five seconds. Only then is there something to clean up.
"""
