"""The tests on the newest Pythons: those of Debian's sid, in a folder that debootstrap makes."""
