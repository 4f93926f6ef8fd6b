"""What the probes are about, in plain words and in groups, as the doctor shows them."""

from __future__ import annotations

ESSENTIAL = ("netns", "loopback", "setns", "thread", "namespaces", "descriptors", "journal", "veth")
"""What nearly every suite needs; the rest is for tests that ask for it."""
ROOT_ONLY = ("sys_admin", "net_admin", "net_raw")
"""What is not needed where namespaces are made rootless."""

GROUPS: dict[str, dict[str, str]] = {
    "namespaces": {
        "netns": "make a network namespace",
        "loopback": "send over the loopback interface of one",
        "setns": "enter one from a process",
        "thread": "enter one from a thread, as call() and isolation do",
        "namespaces": "hold 16 of them at a time",
        "sysctl": "set sysctls in one",
    },
    "user namespaces and privileges": {
        "userns": "make a user namespace, in which tests need no root",
        "users": "have other users than root there, for programs that drop privileges",
        "sys_admin": "make namespaces with this process's own privileges",
        "net_admin": "configure networks with this process's own privileges",
        "net_raw": "open raw and packet sockets with this process's own privileges",
    },
    "names and clean-up": {
        "mount": "give a namespace a name under /run/netns",
        "journal": "record what the next session is to remove if this one is killed",
    },
    "processes": {
        "descriptors": "open 256 file descriptors",
        "pidfd": "signal a process and never another one that has got its pid",
        "ptrace": "see what a child process holds open",
    },
    "links": {
        "veth": "a cable between two namespaces",
        "bridge": "a switch",
        "dummy": "an interface that leads nowhere",
        "vlan": "a VLAN on a link (802.1Q)",
        "vrf": "routing tables by interface",
        "macvlan": "further interfaces on a link, with MAC addresses of their own",
        "ipvlan": "further interfaces on a link, with its MAC address",
        "vxlan": "a link through UDP",
        "ifb": "an interface to which arriving packets are sent for traffic control",
        "bond": "several links as one",
        "gre": "a tunnel of IP in IP",
        "wireguard": "an encrypted tunnel",
        "tun": "an interface whose packets a program reads and writes",
        "tap": "an interface whose frames a program reads and writes",
    },
    "packet sockets": {
        "packet": "see and send whole frames (AF_PACKET)",
    },
    "traffic control": {
        "netem": "delay, lose and reorder packets",
        "tbf": "limit a rate",
        "htb": "limit the rates of classes",
        "ingress": "act upon arriving packets",
        "fq": "pace what is sent",
    },
    "firewall": {
        "nft": "packet filters (nftables, and its program)",
        "nat": "address translation, and forgetting its connections",
    },
    "programs": {
        "nsenter": "start commands in namespaces that are made rootless (util-linux)",
        "xdist": "run tests in parallel (pytest-xdist)",
    },
}
