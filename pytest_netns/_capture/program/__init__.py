"""The recorder: a program that reads packet sockets of namespaces, with the standard library only."""
