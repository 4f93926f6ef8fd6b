"""The tests on a second kernel, which has what the machine's own may lack: user-mode Linux, an ordinary program."""
