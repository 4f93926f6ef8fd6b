"""What all findings come to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .findings import Finding
from .steps import ROOTLESS
from .topics import ESSENTIAL, ROOT_ONLY


class Verdict(NamedTuple):
    """What all findings come to, in a sentence."""

    ok: bool
    """Whether everything works that nearly every suite needs."""
    text: str
    remedy: str
    blocked: list[str]
    """The names of what does not work for the one cause that the sentence says."""
    unneeded: list[str]
    """The names of what does not work, and need not, as namespaces are made without it."""
    lacking: list[str]
    """The names of what else does not work."""


def judge(findings: Sequence[Finding]) -> Verdict:
    """Return what the findings of all probes come to."""
    netns = next(finding for finding in findings if finding.name == "netns")
    failed = [finding for finding in findings if not finding.ok]
    if not netns.ok:
        blocked = [finding.name for finding in failed if finding is not netns and finding.is_explained_by(netns)]
        lacking = [finding.name for finding in failed if finding is not netns and finding.name not in blocked]
        return Verdict(False, f"Network namespaces cannot be made: {netns.cause}.", netns.remedy, blocked, [], lacking)
    is_rootless = netns.cause.startswith(ROOTLESS)
    unneeded = [finding.name for finding in failed if is_rootless and finding.name in ROOT_ONLY]
    lacking = [finding.name for finding in failed if finding.name not in unneeded]
    how = "rootless" if is_rootless else "as root"
    missed = [name for name in ESSENTIAL if name in lacking]
    if not missed:
        return Verdict(True, f"Everything that tests need works here, {how}.", "", [], unneeded, lacking)
    text = f"Network namespaces can be made, {how}, but not all that tests need works: {', '.join(missed)}."
    remedy = next(finding.remedy for finding in findings if finding.name == missed[0])
    return Verdict(False, text, remedy, [], unneeded, lacking)
