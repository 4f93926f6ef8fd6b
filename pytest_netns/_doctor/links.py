"""The probes of what a network is made of: links, tun and tap, qdiscs, nftables and NATs."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
import subprocess
from collections.abc import Callable
from typing import Any

from .. import _causes
from .._errors import NetNSUnsupportedError
from .._linux import netlink, syscalls
from .._netns.nftables import program
from .._topology.described import has_ipv6
from .._topology.making import netfilter
from .._topology.planning.planner import make_plan
from .._topology.text.reading import parse
from .._topology.translating.nft import advice
from .._topology.translating.translation import rulesets
from . import remedies
from .steps import TIME_LIMIT, Failure, enter_net, step

LINKS: dict[str, dict[str, Any]] = {
    "veth": {"peer": "probe1"},
    "bridge": {},
    "dummy": {},
    "vlan": {"link": True, "vlan_id": 2},
    "vrf": {"vrf_table": 42},
    "macvlan": {"link": True},
    "ipvlan": {"link": True},
    "vxlan": {"vxlan_id": 42, "vxlan_port": 4789},
    "ifb": {},
    "bond": {},
    "gre": {"gre_local": "192.0.2.1", "gre_remote": "192.0.2.2"},
    "wireguard": {},
}
QDISCS: dict[str, dict[str, Any]] = {
    "netem": {"delay": 1000},
    "tbf": {"rate": 1_000_000, "burst": 10_000, "latency": 10_000},
    "htb": {},
    "ingress": {"parent": 0xFFFF_FFF1, "handle": 0xFFFF_0000},
    "fq": {},
}
MODULES = {"ingress": "sch_ingress", "gre": "ip_gre", "bond": "bonding", "vlan": "8021q"}
TUNSETIFF, IFF_TUN, IFF_TAP, IFF_NO_PI = 0x400454CA, 1, 2, 0x1000  # <linux/if_tun.h>
NFT_MSG_GETGEN = 0x0A10  # <linux/netfilter/nfnetlink.h>, nf_tables.h


def _load(kind: str) -> Callable[[int], str]:
    module = MODULES.get(kind, f"sch_{kind}" if kind in QDISCS else kind)

    def remedy(number: int) -> str:
        return (
            remedies.for_refusal(number)
            if number in (errno.EPERM, errno.EACCES)
            else f"modprobe {module} (as root, outside)"
        )

    return remedy


def _iproute() -> Any:
    from .._netns.netlink import Netlink

    return Netlink(lambda family: socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, family)).iproute()


def link(kind: str) -> str:
    enter_net()
    options = dict(LINKS[kind])
    ipr = _iproute()
    if options.pop("link", False):
        options["link"] = _lower(ipr)
    with step(f"adding a link of kind {kind}", _load(kind)):
        ipr.link("add", ifname="probe0", kind=kind, **options)
    return ""


def _lower(ipr: Any) -> int:
    """Return the index of a link of some kind that this kernel has, for another to stand on."""
    with step("adding a bridge or a veth to stand on", _load("veth")):
        try:
            ipr.link("add", ifname="lower", kind="veth", peer="lower1")
        except Exception:  # any of the two will do
            ipr.link("add", ifname="lower", kind="bridge")
    index: int = ipr.link_lookup(ifname="lower")[0]
    return index


def tuntap(flag: int) -> str:
    enter_net()
    with step("opening /dev/net/tun", remedies.by_table(_causes.TUN)):
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    with step("adding a link (TUNSETIFF)", remedies.for_refusal):
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", b"probe0", flag | IFF_NO_PI))
    return ""


def qdisc(kind: str) -> str:
    enter_net()
    with step(f"adding a qdisc of kind {kind}", _load(kind)):
        _iproute().tc("add", kind, index=1, **QDISCS[kind])
    return ""


def nft() -> str:
    """Ask for the generation of the rules, as nft(8) does first, and look for that program."""
    enter_net()
    with step("asking nftables (NFT_MSG_GETGEN)", _load("nf_tables")):
        with _netfilter() as sock:
            sock.send(netlink.message(1, NFT_MSG_GETGEN, netfilter.ANY_FAMILY, 0))
            for kind, _, _, body in netlink.messages(sock.recv(4096)):
                number = netlink.error_of(body) if kind == netlink.NLMSG_ERROR else 0
                if number:
                    raise OSError(number, os.strerror(number))
    _nft_program()
    return ""


def nat() -> str:
    """Apply the rules of a NAT, and let the kernel forget connections."""
    enter_net()
    planned = make_plan(parse("nat [nat]\na -- nat -- b")).nodes["nat"]
    for ruleset in rulesets(planned, 0, 0, has_ipv6=has_ipv6()):
        command = [_nft_program(), "-f", "-"]
        done = subprocess.run(command, input=ruleset, capture_output=True, text=True, timeout=TIME_LIMIT / 2)
        if done.returncode:
            raise Failure(f"nft does not take the rules of a NAT: {done.stderr.partition(chr(10))[0]}", advice())
    with step("forgetting connections (IPCTNL_MSG_CT_DELETE)", advice()):
        with _netfilter() as sock:
            netfilter.forget_connections(sock, syscalls.monotonic() + TIME_LIMIT / 2, "a new namespace")
    return ""


def _nft_program() -> str:
    try:
        return program()
    except NetNSUnsupportedError:
        raise Failure("there is no nft(8)", "install nftables (apt-get install nftables)") from None


def _netfilter() -> socket.socket:
    sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, netlink.NETLINK_NETFILTER)
    sock.settimeout(TIME_LIMIT / 2)
    return sock
