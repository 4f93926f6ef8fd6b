"""Programs of XDP, which see what arrives before anybody else does (bpf(2))."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import socket
import struct

import pytest

from pytest_netns import Host
from pytest_netns._linux import netlink, rtnetlink

DROP = 1  # <linux/bpf.h>, enum xdp_action
BPF_PROG_LOAD, BPF_LINK_CREATE, BPF_PROG_TYPE_XDP, BPF_XDP = 5, 28, 6, 37
SYS_BPF = {"x86_64": 321, "aarch64": 280}
IFLA_XDP, IFLA_XDP_FD, IFLA_XDP_FLAGS, XDP_FLAGS_SKB_MODE = 43, 1, 3, 2  # <linux/if_link.h>
ATTRIBUTES = 144  # bytes
_LIBC = ctypes.CDLL(None, use_errno=True)


def _bpf(command: int, attributes: bytes) -> int:
    buffer = ctypes.create_string_buffer(attributes, ATTRIBUTES)
    fd: int = _LIBC.syscall(SYS_BPF[platform.machine()], command, buffer, ATTRIBUTES)
    if fd < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return fd


def load(action: int) -> int:
    """Load a program that returns an action for each frame; return its descriptor, or skip the test."""
    if platform.machine() not in SYS_BPF:
        pytest.skip("the number of bpf(2) on this machine is not known")
    program = struct.pack("@BBhiBBhi", 0xB7, 0, 0, action, 0x95, 0, 0, 0)  # r0 = action; exit
    code, license_ = ctypes.create_string_buffer(program), ctypes.create_string_buffer(b"GPL")
    addresses = ctypes.addressof(code), ctypes.addressof(license_)
    try:
        return _bpf(BPF_PROG_LOAD, struct.pack("@IIQQ", BPF_PROG_TYPE_XDP, len(program) // 8, *addresses))
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOSYS, errno.EINVAL):
            raise
        pytest.skip(f"no program of XDP can be loaded: {error.strerror}; it is a privilege of the machine's root")


def attach(host: Host, program: int, *, is_generic: bool) -> None:
    """Attach a program to eth0 of a host, as ip-link(8) does."""
    fd, flags = struct.pack("@i", program), struct.pack("@I", XDP_FLAGS_SKB_MODE if is_generic else 0)
    wanted = netlink.attribute(IFLA_XDP_FD, fd), netlink.attribute(IFLA_XDP_FLAGS, flags)
    body = rtnetlink.link(host.interfaces["eth0"].index, netlink.nested(IFLA_XDP, *wanted))
    with host.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as sock:
        sock.send(netlink.message(1, rtnetlink.RTM_SETLINK, body))
        for _, _, _, answer in netlink.messages(sock.recv(1 << 16)):
            assert netlink.error_of(answer) == 0


def link(host: Host, program: int) -> int:
    """Attach a program to eth0 of a host until the descriptor that is returned is closed, as libbpf does."""
    with host.enter():
        return _bpf(BPF_LINK_CREATE, struct.pack("@IIII", program, host.interfaces["eth0"].index, BPF_XDP, 0))
