"""What to do next about a step that the kernel refused: one table, by what the step does and by the errno.

The same errno means different things in different steps: ENOSPC is a limit of namespaces, of users' namespaces or of
mounts, or a disk that is full. The resident child imports this module too.
"""

from __future__ import annotations

import errno

# What a step does, as far as it matters for what to do next.
ANYTHING = ""
NETWORK, USER, MOUNTS = "net", "user", "mnt"  # making a namespace of this kind, as namespaces(7) calls them
ENTERING = "entering"  # a namespace that belongs to a user namespace below our own, from a thread
FILE_OF_NAME, MOUNT_OF_NAME = "file", "mount"  # making a name under /run/netns
FILES_OF_ETC = "etc"  # a mount namespace with files of its own there
SYSCTL = "sysctl"
SOCKET = "socket"
NETWORKING = "networking"  # making a link, an address or a route
TUN = "tun"  # opening /dev/net/tun
PACKET = "packet"  # a packet socket (packet(7))
STARTING = "starting"  # a process or a thread
LOOKING_UP, BINDING, CONNECTING = "looking up", "binding", "connecting"  # what is done with a socket or for one
EAI_AGAIN = -3  # <netdb.h>: what getaddrinfo(3) returns is below 0; the module socket is not imported for it alone

PRIVILEGES = "run pytest as root or with CAP_SYS_ADMIN, CAP_NET_ADMIN and CAP_NET_RAW"
NO_ROOM = "free space on the file system of /run/netns (df /run/netns, df -i /run/netns), or give no name"
LEFT_OUT = "or give no name, which a namespace does not need"
SYSCTLS = "sysctl -N net lists those there are"


def limit_of(kind: str) -> str:
    """Return what raises the limit of namespaces of a kind.

    Each user namespace around this one has a limit of its own, and all count (namespaces(7)).
    """
    return f"sysctl -w user.max_{kind}_namespaces=10000, here and in the user namespaces around this one"


NEXT_STEP: dict[str, dict[int, str]] = {
    ANYTHING: {
        errno.EPERM: PRIVILEGES,
        errno.EACCES: "check the permissions, or run pytest as root",
        errno.EMFILE: "raise the limit of open files (ulimit -n), or close sockets and namespaces earlier",
        errno.ENFILE: "raise the system's limit of open files (sysctl fs.file-max)",
        errno.ENOMEM: "free memory",
        errno.ETOOMANYREFS: "raise the limit of open files (ulimit -n): it bounds the descriptors in flight too",
        errno.ENOSYS: "lift the seccomp filter that hides the call, or use a newer kernel",
    },
    NETWORK: {
        errno.ENOSPC: f"{limit_of(NETWORK)}, or close namespaces earlier",
        errno.EINVAL: "use a kernel with CONFIG_NET_NS",
        errno.ENOSYS: "use a kernel with CONFIG_NET_NS, or lift the seccomp filter that hides the call",
    },
    USER: {
        errno.ENOSPC: limit_of(USER),
        errno.EUSERS: limit_of(USER),  # before Linux 4.9
        errno.EINVAL: "use a kernel with CONFIG_USER_NS",
        errno.ENOSYS: "use a kernel with CONFIG_USER_NS, or lift the seccomp filter that hides the call",
    },
    MOUNTS: {errno.ENOSPC: f"{limit_of(MOUNTS)}, {LEFT_OUT}"},
    ENTERING: {
        errno.EPERM: (
            "the namespace belongs to the user namespace of the resident child, which a process with threads cannot "
            "join; give --netns-userns=process, so that pytest itself is in one from the start, or use sockets, run(), "
            "popen(), or call() with a child_mode such as 'fork'"
        ),
    },
    FILE_OF_NAME: {
        errno.EEXIST: "choose another name, or remove what has it (ip netns del) if nothing uses it any more",
        errno.EROFS: (
            "mount a writable file system there (mount -t tmpfs tmpfs /run/netns; docker/podman run --tmpfs "
            f"/run/netns), {LEFT_OUT}"
        ),
        errno.ENOSPC: NO_ROOM,
        errno.EDQUOT: NO_ROOM,
        errno.EACCES: f"run pytest as root, who may write to /run/netns, {LEFT_OUT}",
    },
    MOUNT_OF_NAME: {errno.ENOSPC: f"raise the limit of mounts (sysctl fs.mount-max), {LEFT_OUT}"},
    FILES_OF_ETC: {
        **dict.fromkeys(
            (errno.EPERM, errno.EACCES),
            "let this container mount (docker/podman run --cap-add SYS_ADMIN --security-opt apparmor=unconfined), or "
            "use addresses",
        ),
        errno.ENOSPC: f"{limit_of(MOUNTS)}, and sysctl -w fs.mount-max=100000",
    },
    SYSCTL: {
        errno.EROFS: (
            "make it writable where you may (mount -o remount,bind,rw /proc/sys); containers mount it read-only"
        ),
        errno.EACCES: "some sysctls can only be read, others only be written; see the mode of its file in /proc/sys",
        errno.EINVAL: "check the value: the kernel does not take it",
        errno.ENOENT: f"check its name, or load the module that has it; {SYSCTLS}",
        errno.ENOTDIR: f"check its name; {SYSCTLS}",
        errno.EISDIR: f"name one of those in this folder; {SYSCTLS}",
    },
    SOCKET: {
        errno.EAFNOSUPPORT: "use a kernel that has this address family, or load its module",
        errno.EPROTONOSUPPORT: "check the protocol number, or load the module that provides it",
        errno.ESOCKTNOSUPPORT: "check that the address family has this type of socket",
        errno.EINVAL: "check the type and the protocol: the address family has no such socket",
    },
    NETWORKING: {
        errno.EOPNOTSUPP: "load the module that has it (modprobe veth, bridge, as root, outside)",
        errno.EPERM: "run pytest with CAP_NET_ADMIN, or with --netns-userns=auto, which takes no privilege",
    },
    TUN: {
        **dict.fromkeys((errno.EPERM, errno.EACCES), "chmod 0666 /dev/net/tun (as root, outside)"),
        **dict.fromkeys(
            (errno.ENOENT, errno.ENODEV, errno.ENXIO),
            "modprobe tun (as root, outside), or docker/podman run --device /dev/net/tun",
        ),
    },
    PACKET: {errno.EAFNOSUPPORT: "modprobe af_packet (as root, outside), or use a kernel with CONFIG_PACKET"},
    LOOKING_UP: {
        EAI_AGAIN: (
            "no DNS server of /etc/resolv.conf can be reached from there: use an address, or add the name to /etc/hosts"
        ),
    },
    BINDING: {
        errno.EACCES: (
            "if the port is below 1024, it needs CAP_NET_BIND_SERVICE, or "
            "sysctl={'net.ipv4.ip_unprivileged_port_start': 0}"
        ),
    },
    CONNECTING: {
        errno.EPERM: "a packet filter may forbid it (nft list ruleset, in the namespace)",
        errno.EACCES: "a route may forbid it (ip route, in the namespace)",
    },
    STARTING: {errno.EAGAIN: "raise the limit of processes and threads (ulimit -u), free memory, or end them earlier"},
}


def next_step(number: int, step: str = ANYTHING) -> str | None:
    """Return what to do next, or ``None`` where that is not known.

    :param number: the errno.
    :param step: what the step does, one of the names above.
    """
    return NEXT_STEP[step].get(number) or NEXT_STEP[ANYTHING].get(number)
