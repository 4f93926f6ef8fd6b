"""What callers give that is wrong: an error at once, which says what is wrong, what is valid and what to do."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable
from typing import Any, cast

import pytest

from pytest_netns import CallModeName, ChildModeName, MakeNetNS, NetNS
from pytest_netns._netns.factory import Session

SECONDS = "is a number of seconds above 0 and up to 1000000, not"
NO_NUMBERS: list[tuple[Any, type[Exception]]] = [(value, TypeError) for value in ("3", None, True, b"3", [3])]
NO_SECONDS: list[tuple[Any, type[Exception]]] = [
    (value, ValueError) for value in (0, -1, float("nan"), float("inf"), 1e20, 1_000_001)
]
OPTIONS = "valid are: label, name, lo, sysctl, child_mode, child_timeout"
MAPPING = "sysctl is a mapping, such as {'net.ipv4.ip_forward': 1}, not"
MADE = (
    "a NetNS is made by the fixtures: let the test ask for netns, or for make_netns and call that; a fixture of a "
    "wider scope asks for netns_factory"
)
FORWARD = "net.ipv4.ip_forward"

WRONG_OPTIONS: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({"label": 5}, TypeError, "label is a str, what the namespace is called in errors, not 5"),
    ({"label": b"a"}, TypeError, "label is a str, what the namespace is called in errors, not b'a'"),
    ({"name": 5}, TypeError, "name is a str, a file name under /run/netns, not 5"),
    ({"name": b"a"}, TypeError, "name is a str, a file name under /run/netns, not b'a'"),
    ({"lo": "yes"}, TypeError, "lo is True or False, whether loopback is up, not 'yes'"),
    ({"lo": None}, TypeError, "lo is True or False, whether loopback is up, not None"),
    ({"sysctl": "a=1"}, TypeError, f"{MAPPING} 'a=1'"),
    ({"sysctl": [(FORWARD, 1)]}, TypeError, f"{MAPPING} [('{FORWARD}', 1)]"),
    ({"sysctl": {5: 1}}, TypeError, f"the name of a sysctl is a str, such as '{FORWARD}', not 5"),
    ({"sysctl": {"net.x": None}}, TypeError, "the value of the sysctl 'net.x' is a str, an int or a bool, not None"),
    *(
        ({"sysctl": {"net.x": text}}, ValueError, f"the value of the sysctl 'net.x' is one line of text, not {text!r}")
        for text in ("1\n0", "1\0", "\udcff", "\x1b[0m")
    ),
    (
        {"sysctl": {"net.ipv4\0": 1}},
        ValueError,
        "'net.ipv4\\x00' is no sysctl of a network namespace; valid ones begin with 'net.', see sysctl -N net",
    ),
    ({"sysctls": {}}, TypeError, f"a namespace has no option 'sysctls' (did you mean 'sysctl'?); {OPTIONS}"),
    ({"timeout": 3}, TypeError, f"a namespace has no option 'timeout' (did you mean 'child_timeout'?); {OPTIONS}"),
    ({"zzz": 3}, TypeError, f"a namespace has no option 'zzz'; {OPTIONS}"),
    *(
        ({"child_timeout": value}, error, f"child_timeout {SECONDS} {value!r}")
        for value, error in NO_NUMBERS + NO_SECONDS
        if value is not None
    ),
]


@pytest.fixture(params=["make_netns", "netns_factory"])
def make(request: pytest.FixtureRequest) -> MakeNetNS:
    made: MakeNetNS = request.getfixturevalue(request.param)
    return made


@pytest.mark.parametrize(("options", "error", "text"), WRONG_OPTIONS)
def test_a_wrong_option(netns_factory: MakeNetNS, options: dict[str, Any], error: type[Exception], text: str) -> None:
    with pytest.raises(error) as info:
        netns_factory(**options)
    assert type(info.value) is error
    assert str(info.value) == text


def test_more_than_the_label_is_given_by_name(make: MakeNetNS) -> None:
    arguments: Any = ("a", "b")
    with pytest.raises(TypeError) as info:
        make(*arguments)
    assert str(info.value) == (
        "one argument can be given without a name, the label, not 2; give the others by name, as in "
        'make_netns("client", name="lab")'
    )
    twice: Any = {"label": "b"}
    with pytest.raises(TypeError, match=r"^the label is given twice, as 'a' and as 'b'$"):
        make("a", **twice)


def test_what_may_be_none_is_as_if_not_given(make: MakeNetNS) -> None:
    with make(None, name=None, sysctl=None, child_mode=None, child_timeout=None) as ns:
        assert ns.label.startswith("netns")
        assert ns.name is None


@pytest.mark.parametrize("arguments", [(), ("lab",), (None, 1, 2)])
def test_a_namespace_is_not_made_by_its_class(arguments: Any) -> None:
    make = cast("Any", NetNS)
    with pytest.raises(TypeError) as info:
        make(*arguments)
    assert str(info.value) == MADE


@pytest.mark.parametrize(("value", "error"), NO_NUMBERS + NO_SECONDS)
@pytest.mark.parametrize("child_mode", [None, "fork"])
def test_a_wrong_timeout_of_a_call(
    netns: NetNS, value: Any, error: type[Exception], child_mode: CallModeName | None
) -> None:
    if value is None:
        assert netns.call(len, "ab", timeout=value, child_mode=child_mode) == 2
        return
    with pytest.raises(error) as info:
        netns.call(len, "ab", timeout=value, child_mode=child_mode)
    assert str(info.value) == f"timeout {SECONDS} {value!r}"


@pytest.mark.parametrize("what", ["child_timeout", "thread_timeout"])
@pytest.mark.parametrize(("value", "error"), NO_NUMBERS + NO_SECONDS)
def test_a_wrong_timeout_of_a_session(what: str, value: Any, error: type[Exception]) -> None:
    with pytest.raises(error) as info:
        Session(**{what: value})
    assert str(info.value) == f"{what} {SECONDS} {value!r}"


@pytest.mark.parametrize("seconds", [1e-3, 1, 1_000_000])
@pytest.mark.parametrize("child_mode", ["resident", "fork"])
def test_a_timeout_at_the_border(make_netns: MakeNetNS, seconds: float, child_mode: ChildModeName) -> None:
    ns = make_netns(child_timeout=1_000_000, child_mode=child_mode)
    ns.socket().close()
    assert ns.call(len, "ab", timeout=max(seconds, 1)) == 2


NUMBERS = "its family, type and protocol are integers, such as (socket.AF_INET, socket.SOCK_STREAM, 0)"


@pytest.mark.parametrize("child_mode", ["resident", "fork"])
@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (("x",), TypeError, NUMBERS),
        ((None,), TypeError, NUMBERS),
        ((2.0,), TypeError, NUMBERS),
        ((2**40,), ValueError, "its numbers are at most 2147483647"),
        ((2, 2**31), ValueError, "its numbers are at most 2147483647"),
        ((2, 1, -(2**63)), ValueError, "its numbers are at most 2147483647"),
    ],
)
def test_what_is_no_socket(
    netns: NetNS, arguments: Any, error: type[Exception], text: str, child_mode: ChildModeName
) -> None:
    given = (*arguments, socket.SOCK_STREAM, 0)[:3] if len(arguments) == 1 else (*arguments, 0)[:3]
    with pytest.raises(error) as info:
        netns.socket(*arguments, child_mode=child_mode)
    assert str(info.value) == f"{given!r} is no socket to make: {text}"


@pytest.mark.parametrize("specs", [5, None])
def test_what_are_no_sockets(netns: NetNS, specs: Any) -> None:
    with pytest.raises(TypeError) as info:
        netns.sockets(specs)
    assert str(info.value) == (
        f"the sockets to make are a list of tuples, such as [(socket.AF_INET, socket.SOCK_DGRAM)], not {specs!r}"
    )


@pytest.mark.parametrize("spec", [5, None, "ab", ("x",), [1.0]])
def test_what_is_no_socket_among_others(netns: NetNS, spec: Any) -> None:
    with pytest.raises(TypeError) as info:
        netns.sockets([(socket.AF_INET,), spec])
    assert str(info.value) == f"{spec!r} is no socket to make: {NUMBERS}"


@pytest.mark.parametrize(
    ("act", "text"),
    [
        (lambda ns: ns.call(5), "what to call is a function or another callable, not 5"),
        (lambda ns: ns.call("f", child_mode="fork"), "what to call is a function or another callable, not 'f'"),
        (lambda ns: ns.thread(target=5), "target is a function or another callable, not 5"),
        (lambda ns: ns.executor(initializer=5), "initializer is a function or another callable, not 5"),
    ],
)
def test_what_cannot_be_called(netns: NetNS, act: Callable[[NetNS], object], text: str) -> None:
    with pytest.raises(TypeError) as info:
        act(netns)
    assert str(info.value) == text


@pytest.mark.parametrize("name", ["run", "popen"])
@pytest.mark.parametrize(
    ("command", "error", "text"),
    [
        (5, TypeError, "a command is a list such as ['ip', 'link'], or with shell=True a str, not 5"),
        (None, TypeError, "a command is a list such as ['ip', 'link'], or with shell=True a str, not None"),
        ([], ValueError, "a command is a list of a program and its arguments, such as ['ip', 'link'], and not empty"),
    ],
)
def test_what_is_no_command(netns: NetNS, name: str, command: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=f"^{re.escape(text)}$"):
        getattr(netns, name)(command)


@pytest.mark.parametrize("key", [5, None, b"net.ipv4.ip_forward"])
def test_a_sysctl_has_a_name_of_text(netns: NetNS, key: Any) -> None:
    for act in (lambda: netns.sysctl[key], lambda: netns.sysctl.__setitem__(key, 1)):
        with pytest.raises(TypeError) as info:
            act()
        assert str(info.value) == f"the name of a sysctl is a str, such as '{FORWARD}', not {key!r}"


def test_an_empty_sysctl_is_written(netns: NetNS) -> None:
    """Zero bytes would be no write at all, and so no error."""
    netns.sysctl["net.ipv4.ip_local_reserved_ports"] = "8000"
    netns.sysctl["net.ipv4.ip_local_reserved_ports"] = ""
    assert netns.sysctl["net.ipv4.ip_local_reserved_ports"] == ""
    with pytest.raises(OSError, match=r"cannot set the sysctl net\.ipv4\.ip_forward: EINVAL"):
        netns.sysctl[FORWARD] = ""
    netns.sysctl[FORWARD] = "1\n"
    assert netns.sysctl[FORWARD] == "1"
