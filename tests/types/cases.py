"""What type checkers see of the public names. They check this file; nothing runs it.

Each line that is to be an error has a comment which ignores it; test_types.py takes these away.
"""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import subprocess
from typing import Any

from typing_extensions import assert_type

from pytest_netns import (
    CallModeName,
    ChildModeName,
    MakeNetNS,
    NetNS,
    Sysctl,
    __version__,
    inherited,
    listening,
    notified,
    output,
)

TEXT_OR_NOT = bool(os.environ.get("TEXT"))


def connect(host: str, port: int = 80, *, tries: int = 1) -> float:
    raise NotImplementedError


def names() -> None:
    assert_type(__version__, str)
    from pytest_netns import NetNz  # type: ignore[attr-defined]  # noqa: F401


def sockets(ns: NetNS, mode: ChildModeName, name: str) -> None:
    assert_type(ns.socket(), socket.socket)
    ns.socket(socket.AF_INET, socket.SOCK_DGRAM, child_mode="mp:spawn")
    ns.socket(child_mode=mode)
    ns.socket(child_mode=ns.child_mode)
    ns.sockets([(), (socket.AF_INET6,), (socket.AF_INET, socket.SOCK_DGRAM, 0)], child_mode="resident")
    ns.socket(child_mode="spwan")  # type: ignore[arg-type]
    ns.socket(child_mode=name)  # type: ignore[arg-type]
    ns.sockets([], child_mode="spwan")  # type: ignore[arg-type]
    assert_type(ns.create_server(("", 80)), socket.socket)
    assert_type(ns.create_connection(("192.0.2.1", 80), timeout=None), socket.socket)
    ns.create_server("192.0.2.1:80")  # type: ignore[arg-type]
    ns.create_connection("192.0.2.1:80")  # type: ignore[arg-type]
    ns.create_connection(("192.0.2.1", 80), timeout="1")  # type: ignore[arg-type]


def settings(ns: NetNS) -> None:
    assert_type(ns.sysctl, Sysctl)
    assert_type(ns.sysctl["net.ipv4.ip_forward"], str)
    ns.sysctl["net.ipv4.ip_forward"] = True
    ns.sysctl["net.ipv4.ip_forward"] = None  # type: ignore[assignment]


def namespaces(make_netns: MakeNetNS) -> None:
    assert_type(make_netns("client", name="lab", sysctl={"net.ipv4.ip_forward": 1}, child_mode="fork"), NetNS)
    make_netns(child_mode="spwan")  # type: ignore[arg-type]
    make_netns(nmae="lab")  # type: ignore[call-arg]


def calls(ns: NetNS, mode: ChildModeName, call_mode: CallModeName) -> None:
    assert_type(ns.call(connect, "192.0.2.1", tries=3), float)
    assert_type(ns.call(functools.partial(connect, "192.0.2.1")), float)
    assert_type(ns.call(os.getpid), int)
    assert_type(ns.call(lambda: "text"), str)
    ns.call(connect)  # type: ignore[call-overload]
    ns.call(connect, 1)  # type: ignore[call-overload]
    ns.call(connect, "192.0.2.1", tires=3)  # type: ignore[call-arg]
    ns.call(None)  # type: ignore[call-overload]

    # With an option of call itself, the function's arguments are not checked; its value is.
    assert_type(ns.call(connect, "192.0.2.1", timeout=1), float)
    assert_type(ns.call(connect, "192.0.2.1", child_mode="fork"), float)
    assert_type(ns.call(connect, "192.0.2.1", child_mode=call_mode, timeout=None), float)
    ns.call(connect, "192.0.2.1", child_mode=mode)  # type: ignore[arg-type]
    ns.call(connect, "192.0.2.1", child_mode="resident", timeout=1)  # type: ignore[call-arg]
    ns.call(connect, "192.0.2.1", timeout="1")  # type: ignore[call-arg]


def commands_that_end(ns: NetNS) -> None:
    assert_type(ns.run(["ip", "link"], capture_output=True), subprocess.CompletedProcess[bytes])
    assert_type(ns.run("ip link", shell=True, text=True), subprocess.CompletedProcess[str])
    assert_type(ns.run(["cat"], input="text", universal_newlines=True), subprocess.CompletedProcess[str])
    assert_type(ns.run(["cat"], encoding="utf-8", timeout=1), subprocess.CompletedProcess[str])
    assert_type(ns.run(["cat"], errors="replace", check=True), subprocess.CompletedProcess[str])
    assert_type(ns.run(["cat"], input=b"bytes", text=False), subprocess.CompletedProcess[bytes])
    assert_type(ns.run(["cat"], text=TEXT_OR_NOT), subprocess.CompletedProcess[Any])
    ns.run(["ip", "link"], capture_outptu=True)  # type: ignore[call-overload]
    ns.run(["ip", "link"], capture_output="yes")  # type: ignore[call-overload]
    ns.run(["sleep", 1])  # type: ignore[list-item]


def commands_that_go_on(ns: NetNS) -> None:
    assert_type(ns.popen(["cat"], stdin=subprocess.PIPE), subprocess.Popen[bytes])
    assert_type(ns.popen(["cat"], stdin=ns.socket()), subprocess.Popen[bytes])
    assert_type(ns.popen(["cat"], text=True), subprocess.Popen[str])
    assert_type(ns.popen(["cat"], universal_newlines=True), subprocess.Popen[str])
    assert_type(ns.popen(["cat"], encoding="utf-8"), subprocess.Popen[str])
    assert_type(ns.popen(["cat"], errors="replace"), subprocess.Popen[str])
    assert_type(ns.popen(["cat"], text=TEXT_OR_NOT), subprocess.Popen[Any])
    assert_type(ns.popen(["cat"], ready=listening(80), ready_timeout=1), subprocess.Popen[bytes])
    assert_type(
        ns.popen(["cat"], text=True, ready=[output(b"x"), notified(), inherited(), os.getpid]), subprocess.Popen[str]
    )
    assert_type(ns.popen(["cat"], text=TEXT_OR_NOT, ready=None), subprocess.Popen[Any])
    assert_type(ns.popen(["cat"], encoding="utf-8", ready=os.getpid), subprocess.Popen[str])
    ns.popen(["cat"], ready=80)  # type: ignore[call-overload]
    ns.popen(["cat"], ready=connect)  # type: ignore[arg-type]
    ns.popen(["cat"], ready=listening(80), ready_timeout="1")  # type: ignore[call-overload]
    ns.run(["cat"], ready=listening(80))  # type: ignore[call-overload]
    listening("80")  # type: ignore[arg-type]
    output(80)  # type: ignore[arg-type]
    assert_type(ns.wait_listening(80, "udp", "::1", timeout=1), None)
    ns.wait_listening()  # type: ignore[call-arg]
    ns.popen(["cat"], txet=True)  # type: ignore[call-overload]
    ns.popen(["cat"], check=True)  # type: ignore[call-overload]


async def commands_of_asyncio(ns: NetNS) -> None:
    process = await ns.async_popen(["cat"], stdin=subprocess.PIPE, limit=100, ready=[listening(80), os.getpid])
    assert_type(process, asyncio.subprocess.Process)
    await ns.async_popen("cat", shell=True)
    await ns.async_popen(["cat"], text=True)  # type: ignore[call-arg]


def rules(ns: NetNS) -> None:
    ns.nft("flush ruleset")
    ns.nft(b"flush ruleset")  # type: ignore[arg-type]
