"""The chaos run: in each round a run of pytest is started and disturbed at random, and nothing may be left.

- Killed is the controller, a worker of pytest-xdist, a resident child, a child of a mode, or a command. The run goes on
  where it can, with at most the test failed that was hit.
- Killed or stopped is what is beside it: a recorder, or the program that looks at what a dead test has left. No test
  fails by that.
- Interrupted it is by Ctrl-C, or by an alarm whose handler raises in the midst of a test, while a program that ignores
  SIGTERM runs. Only the tests fail that were hit.
- Short it runs, for a while, of descriptors, of processes (not of root), of namespaces (in a user namespace) or of
  space for records and names; or nothing there can be written to from the start. Tests may fail only by an error that
  says so, and when it is over everything works again.

Most runs record, and some keep the namespaces of tests that fail on purpose, which are then ended.

Two seconds after the end of the run, none of its processes, names, mounts, namespaces, links and records may be there.

The end is that of the last process that runs tests. A worker whose controller was killed finds out by itself: execnet
sees the connection close and gives the test that runs five seconds. Only then is there something to clean up.
"""
