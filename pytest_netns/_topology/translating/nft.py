"""The rulesets of NATs, applied by nft(8)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from ..._errors import NetNSUnsupportedError, RulesetError, is_meant
from ..._netns import nftables

if TYPE_CHECKING:
    from ..._netns.namespace import NetNS

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

MODULES = "nf_tables nft_chain_nat nft_ct nft_nat nf_conntrack_netlink"


def apply(ns: NetNS, ruleset: str) -> None:
    """Apply a ruleset of ours in a namespace.

    :raises NetNSUnsupportedError: nft does not take it, for want of something in the kernel.
    """
    try:
        nftables.apply(ns, ruleset)
    except RulesetError as error:
        raise NetNSUnsupportedError(errno.EOPNOTSUPP, f"{error}\n{advice()}") from None


def advice() -> str:
    """Return what to do where the kernel lacks something."""
    return f"load the modules (modprobe -a {MODULES}, as root, outside), or use a kernel that has them"
