"""The sysctls of a real namespace as a mapping."""

from __future__ import annotations

import errno
from collections.abc import MutableMapping
from typing import Any

import pytest

from pytest_netns import MakeNetNS, NetNS, NetNSClosedError, NetNSError, NetNSOSError

pytestmark = [pytest.mark.core, pytest.mark.second_kernel]

FORWARD = "net.ipv4.ip_forward"
TTL = "net.ipv4.ip_default_ttl"
PORTS = "net.ipv4.ip_local_port_range"

NO_SYSCTL = "is no sysctl of a network namespace; valid ones begin with 'net.', see sysctl -N net"
REFUSED = "EINVAL (Invalid argument); check the value: the kernel does not take it"


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        (TTL, 33, "33"),
        (TTL, "34", "34"),
        (FORWARD, True, "1"),
        (FORWARD, False, "0"),
        (PORTS, "2000 3000", "2000\t3000"),
        ("net/ipv4/ip_default_ttl", 35, "35"),
    ],
)
def test_what_is_set_is_read_back(netns: NetNS, key: str, value: Any, text: str) -> None:
    netns.sysctl[key] = value
    assert netns.sysctl[key] == text


def test_what_is_set_is_set_in_that_namespace_only(make_netns: MakeNetNS) -> None:
    one, other = make_netns(), make_netns()
    one.sysctl[TTL], other.sysctl[TTL] = "33", "44"
    assert one.call(read, "ipv4/ip_default_ttl", child_mode="fork") == "33\n"
    assert other.call(read, "ipv4/ip_default_ttl", child_mode="fork") == "44\n"
    assert read("ipv4/ip_default_ttl") not in ("33\n", "44\n")


def read(path: str) -> str:
    """Read a sysctl in the calling thread's namespace."""
    with open(f"/proc/sys/net/{path}") as file:
        return file.read()


@pytest.mark.parametrize("key", ["net.no.such", "net.ipv4.no_such", "net/ipv4/conf/eth0.100/forwarding"])
def test_an_unknown_key_is_a_key_error(netns: NetNS, key: str) -> None:
    with pytest.raises(KeyError) as info:
        netns.sysctl[key]
    assert info.value.args == (key,)
    assert key not in netns.sysctl
    assert netns.sysctl.get(key, "default") == "default"


def test_setting_an_unknown_key_says_what_is_missing(netns: NetNS) -> None:
    with pytest.raises(NetNSOSError) as info:
        netns.sysctl["net.ipv4.no_such"] = "1"
    assert info.value.errno == errno.ENOENT
    assert info.value.strerror == (
        "namespace 'netns': cannot set the sysctl net.ipv4.no_such: ENOENT (No such file or directory); "
        "check its name, or load the module that has it; sysctl -N net lists those there are"
    )


@pytest.mark.parametrize(
    "key",
    [
        "kernel.hostname",
        "kernel/hostname",
        "net..x",
        "net//x",
        "net/../kernel/hostname",
        "net/ipv4/../../kernel/hostname",
        "net/./ipv4/ip_forward",
        "../net/ipv4/ip_forward",
        "/proc/sys/net/ipv4/ip_forward",
        "net.",
        "net",
        "",
    ],
)
def test_what_is_no_sysctl_of_a_namespace_is_refused(netns: NetNS, key: str) -> None:
    with pytest.raises(ValueError, match="sysctl") as read_info:
        netns.sysctl[key]
    with pytest.raises(ValueError, match="sysctl") as write_info:
        netns.sysctl[key] = "1"
    assert [str(info.value) for info in (read_info, write_info)] == [f"{key!r} {NO_SYSCTL}"] * 2


def test_a_sysctl_cannot_be_deleted(netns: NetNS) -> None:
    with pytest.raises(TypeError) as info:
        del netns.sysctl[FORWARD]
    assert str(info.value) == "a sysctl cannot be deleted; write its default instead"


@pytest.mark.parametrize("value", [0.5, None, b"1", ["1"]])
def test_a_value_is_text_or_a_number(netns: NetNS, value: Any) -> None:
    before = netns.sysctl[TTL]
    with pytest.raises(TypeError) as info:
        netns.sysctl[TTL] = value
    assert str(info.value) == f"the value of the sysctl {TTL!r} is a str, an int or a bool, not {value!r}"
    assert netns.sysctl[TTL] == before


def test_it_lists_what_is_there(netns: NetNS) -> None:
    keys = list(netns.sysctl)
    assert {FORWARD, TTL, PORTS, "net.ipv6.conf.lo.forwarding"} <= set(keys)
    assert len(keys) == len(set(keys)) == len(netns.sysctl)
    assert keys == sorted(keys)
    assert not [key for key in keys if not key.startswith("net.")]


def test_it_is_a_mapping(netns: NetNS) -> None:
    sysctl = netns.sysctl
    assert isinstance(sysctl, MutableMapping)
    sysctl.update({TTL: "50", FORWARD: "1"})
    assert (sysctl.get(TTL), FORWARD in sysctl) == ("50", True)


def test_a_slash_lets_a_dot_be_part_of_a_name(netns: NetNS) -> None:
    netns.ipr.link("add", ifname="br.7", kind="bridge")
    key = "net/ipv4/conf/br.7/forwarding"
    netns.sysctl[key] = "1"
    assert netns.sysctl[key] == "1"
    assert netns.call(read, "ipv4/conf/br.7/forwarding", child_mode="fork") == "1\n"
    assert "net.ipv4.conf.br.7.forwarding" not in netns.sysctl


def test_a_listed_key_with_a_dot_in_a_name_can_be_read(netns: NetNS) -> None:
    netns.ipr.link("add", ifname="br.7", kind="bridge")
    listed = [key for key in netns.sysctl if "br.7" in key]
    assert "net/ipv6/conf/br.7/accept_ra" in listed
    assert all(key in netns.sysctl for key in listed if not key.endswith("/stable_secret"))  # EIO until it is set


@pytest.mark.parametrize("value", ["x", "-"])
def test_a_bad_value_is_refused_by_name(netns: NetNS, value: str) -> None:
    with pytest.raises(NetNSOSError) as info:
        netns.sysctl[FORWARD] = value
    assert str(info.value) == (f"[Errno 22] namespace 'netns': cannot set the sysctl net.ipv4.ip_forward: {REFUSED}")


def test_a_namespace_is_made_with_sysctls(make_netns: MakeNetNS) -> None:
    ns = make_netns(sysctl={FORWARD: 1, TTL: "77", "net/ipv6/conf/lo/forwarding": True})
    assert [ns.sysctl[key] for key in (FORWARD, TTL, "net.ipv6.conf.lo.forwarding")] == ["1", "77", "1"]


@pytest.mark.parametrize(
    ("key", "value", "error", "text"),
    [
        ("kernel.hostname", "x", ValueError, f"'kernel.hostname' {NO_SYSCTL}"),
        (FORWARD, 0.5, TypeError, f"the value of the sysctl {FORWARD!r} is a str, an int or a bool, not 0.5"),
        (
            FORWARD,
            "x",
            NetNSError,
            f"[Errno 22] namespace 'lab': cannot set the sysctl net.ipv4.ip_forward: {REFUSED}",
        ),
    ],
    ids=["key", "type", "value"],
)
def test_a_namespace_with_a_wrong_sysctl_is_not_made(
    make_netns: MakeNetNS, key: str, value: Any, error: type[Exception], text: str
) -> None:
    with pytest.raises(error) as info:
        make_netns("lab", sysctl={TTL: 77, key: value})
    assert str(info.value) == text
    assert make_netns("next").sysctl[TTL] != "77"


def test_after_close_there_are_none(make_netns: MakeNetNS) -> None:
    ns = make_netns("lab")
    ns.close()
    with pytest.raises(NetNSClosedError):
        ns.sysctl  # noqa: B018


def test_a_mapping_kept_over_close_says_closed(make_netns: MakeNetNS) -> None:
    ns = make_netns("lab")
    sysctl = ns.sysctl
    ns.close()
    with pytest.raises(NetNSClosedError):
        sysctl[TTL]
