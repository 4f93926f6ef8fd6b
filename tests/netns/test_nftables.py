"""Rulesets of nftables."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pytest_netns import MakeNetNS, NetNS, NetNSUnsupportedError, RulesetError
from pytest_netns._netns import nftables

pytestmark = pytest.mark.core

NFT = shutil.which("nft", path=f"/usr/bin:{nftables.FOLDERS}")
needs_nft = pytest.mark.skipif(NFT is None, reason="there is no nft; install nftables")
REJECT = """
flush ruleset
table inet filter {
    chain input {
        type filter hook input priority 0
        tcp dport 80 reject with tcp reset
    }
}
"""


def rules_of(ns: NetNS) -> str:
    return str(ns.run([str(NFT), "list", "ruleset"], capture_output=True, text=True, check=True).stdout)


@needs_nft
def test_a_ruleset_holds_in_its_namespace(make_netns: MakeNetNS) -> None:
    ns, other = make_netns(), make_netns()
    servers = [each.create_server(("127.0.0.1", 80)) for each in (ns, other)]
    ns.create_connection(("127.0.0.1", 80)).close()
    assert ns.nft(REJECT) is None  # type: ignore[func-returns-value]
    with pytest.raises(ConnectionRefusedError):
        ns.create_connection(("127.0.0.1", 80))
    other.create_connection(("127.0.0.1", 80)).close()
    ns.nft("flush ruleset")
    ns.create_connection(("127.0.0.1", 80)).close()
    for server in servers:
        server.close()


@needs_nft
def test_a_ruleset_adds_to_what_there_is(netns: NetNS) -> None:
    netns.nft("table inet one { }")
    netns.nft("add table inet two\nadd chain inet two three")
    assert re.findall(r"(?:table|chain) .*(?= {)", rules_of(netns)) == [
        "table inet one",
        "table inet two",
        "chain three",
    ]


@needs_nft
@pytest.mark.parametrize(
    ("ruleset", "said"),
    [
        (
            REJECT.replace("dport", "dprt"),
            r"line 6, column 13: Error: syntax error, unexpected string.*\n {8}tcp dprt 80 reject .*\n {12}\^{4}",
        ),
        (
            "add table inet one\nadd rule inet two input accept\n",
            r"line 2, column 15: Error: .*No such file or directory.*\nadd rule inet two input accept\n {14}\^",
        ),
    ],
)
def test_an_error_shows_the_line_and_nothing_is_applied(netns: NetNS, ruleset: str, said: str) -> None:
    with pytest.raises(RulesetError) as info:
        netns.nft(ruleset)
    assert re.match(
        f"namespace 'netns': nft does not take the ruleset, of which nothing was applied:\n{said}", str(info.value)
    )
    assert isinstance(info.value, ValueError)
    assert rules_of(netns) == ""


@needs_nft
def test_a_statement_may_end_with_the_text(netns: NetNS, tmp_path: Path) -> None:
    (tmp_path / "rules").write_text("table inet one { }\n")
    netns.nft(f'include "{tmp_path / "rules"}"')  # which nft takes with a line break only
    assert rules_of(netns).startswith("table inet one {")


class Answering:
    """A namespace in which nft says what it is told to."""

    def __init__(self, stderr: str) -> None:
        self._stderr = stderr

    def __str__(self) -> str:
        return "here"

    def run(self, args: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(args, 1, "", self._stderr)


@needs_nft
@pytest.mark.parametrize(
    ("stderr", "text"),
    [
        ("/dev/stdin:2:5-7: Error: bad", "line 2, column 5: Error: bad\nadd foo\n    ^^^"),
        ("-:2:5: Error: bad", "line 2, column 5: Error: bad\nadd foo\n    ^"),
        ("/dev/stdin:9:5-7: Error: bad", "line 9, column 5: Error: bad"),
        ("netlink: Error: cache initialization failed: Operation not permitted", None),
        ("", "it ended with exit status 1"),
    ],
)
def test_a_line_is_shown_where_nft_does_not_show_it(stderr: str, text: str | None) -> None:
    with pytest.raises(RulesetError) as info:
        nftables.apply(Answering(stderr), "add table x\nadd foo\n")
    assert str(info.value).partition("applied:\n")[2] == (text or stderr)


@pytest.mark.parametrize("ruleset", [None, b"flush ruleset", ["flush ruleset"]])
def test_a_ruleset_is_text(netns: NetNS, ruleset: Any) -> None:
    with pytest.raises(TypeError, match=r"a ruleset is a str, such as 'table inet filter { }', not "):
        netns.nft(ruleset)


def test_without_nft_the_package_is_named(netns: NetNS, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/no/such/folder")
    monkeypatch.setattr(nftables, "FOLDERS", "/no/such/folder")
    with pytest.raises(
        NetNSUnsupportedError,
        match=r"nft\(8\) is missing, which applies rulesets; install nftables \(apt-get install nftables\)$",
    ):
        netns.nft("flush ruleset")


@needs_nft
def test_nft_is_found_where_an_ordinary_user_has_no_path_to_it(netns: NetNS, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    netns.nft("table inet one { }")


def test_a_closed_namespace_takes_none(make_netns: MakeNetNS) -> None:
    ns = make_netns()
    ns.close()
    with pytest.raises(OSError, match="is closed"):
        ns.nft("flush ruleset")
