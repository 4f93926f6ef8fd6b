"""Rulesets of nftables, applied by nft(8)."""

from __future__ import annotations

import errno
import shutil
from typing import TYPE_CHECKING

from .._errors import NetNSUnsupportedError, how_it_ended, is_meant

if TYPE_CHECKING:
    from .._netns.namespace import NetNS

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

FOLDERS = "/usr/local/sbin:/usr/sbin:/sbin"  # not in the PATH of each user
MODULES = "nf_tables nft_chain_nat nft_ct nft_nat nf_conntrack_netlink"


def program() -> str:
    """Return the path of nft(8).

    :raises NetNSUnsupportedError: there is none.
    """
    found = shutil.which("nft") or shutil.which("nft", path=FOLDERS)
    if found is None:
        text = "there is no nft(8), by which a NAT gets its rules; install nftables (apt-get install nftables)"
        raise NetNSUnsupportedError(errno.ENOENT, text)
    return found


def apply(ns: NetNS, ruleset: str) -> None:
    """Apply a ruleset of ours in a namespace.

    :raises NetNSUnsupportedError: nft does not take it, for want of something in the kernel.
    """
    command = [program(), "-f", "-"]
    done = ns.run(command, input=ruleset, capture_output=True, encoding="utf-8", errors="replace")
    if done.returncode:
        said = done.stderr.strip().partition("\n")[0] or f"it ended {how_it_ended(done.returncode)}"
        text = f"{ns}: nft does not take the rules of a NAT: {said}; {advice()}"
        raise NetNSUnsupportedError(errno.EOPNOTSUPP, text)


def advice() -> str:
    """Return what to do where the kernel lacks something."""
    return f"load the modules (modprobe -a {MODULES}, as root, outside), or use a kernel that has them"
