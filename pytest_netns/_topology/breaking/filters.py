"""Filters at interfaces that let packets vanish: classic BPF programs, which take neither root nor the program tc."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterable, Sequence

from ..._linux import netlink, rtnetlink
from ..making import requests
from ..making.requests import Request
from ..model import Address

# <linux/rtnetlink.h>, <linux/pkt_sched.h>, <linux/pkt_cls.h>
RTM_NEWTFILTER, RTM_DELTFILTER = 44, 45
CLSACT, CLSACT_HANDLE = 0xFFFFFFF1, 0xFFFF0000
INGRESS, EGRESS = 0xFFFFFFF2, 0xFFFFFFF3
TCA_BPF_OPS_LEN, TCA_BPF_OPS, TCA_BPF_FLAGS, TCA_BPF_FLAG_ACT_DIRECT = 4, 5, 8, 1
EVERY_PROTOCOL = 0x0300  # ETH_P_ALL, in network order
# What a program returns. A packet that is stolen counts as sent, so that who has sent it hears of no error; one that is
# shot is ENOBUFS to some (net/core/dev.c, sch_handle_egress).
NOT_MINE, STOLEN = 0xFFFFFFFF, 4
# <linux/bpf_common.h>
LOAD_WORD, LOAD_HALF, LOAD_BYTE = 0x20, 0x28, 0x30
IF_EQUAL, IF_LEAST, JUMP, RETURN = 0x15, 0x35, 0x05, 0x06
INSTRUCTION = struct.Struct("=HBBI")
# Where things are in a frame of Ethernet.
MACS = {"to": 0, "from": 6}
PROTOCOL = 12
PROTOCOLS = {4: 0x0800, 6: 0x86DD}
ADDRESSES = {(4, "from"): 26, (4, "to"): 30, (6, "from"): 22, (6, "to"): 38}
MULTICAST = {4: 224, 6: 255}  # the least first byte of such an address

Program = list[bytes]


def _step(code: int, value: int, if_so: int = 0, if_not: int = 0) -> bytes:
    return INSTRUCTION.pack(code, if_so, if_not, value)


DROP = _step(RETURN, STOLEN)
EVERYTHING = (DROP,)


def program(
    direction: str, macs: Iterable[str], addresses: Sequence[Address], other_end: Sequence[Address] | None
) -> Program:
    """Return a program that drops what comes from some nodes, or goes to them.

    :param direction: ``from`` or ``to``.
    :param macs: those of the nodes.
    :param addresses: likewise; a packet of theirs counts only with the next.
    :param other_end: the addresses that it must have at its other end, or be for many; ``None`` for any.
    """
    steps: Program = []
    for mac in macs:
        packed = bytes.fromhex(mac.replace(":", ""))
        steps += _if_bytes(MACS[direction], packed, [DROP])
    for version in (4, 6):
        found = [one for one in addresses if one.version == version]
        if found:
            dropping: Program = []
            for one in found:
                dropping += _if_bytes(ADDRESSES[version, direction], one.packed, [DROP])
            steps += _if_protocol(version, _if_other_end(version, direction, other_end, dropping))
    return [*steps, _step(RETURN, NOT_MINE)]


def _if_bytes(offset: int, expected: bytes, then: Program) -> Program:
    """Return what runs some steps if the frame has these bytes there, and goes on behind them if not."""
    steps: Program = []
    pieces = [expected[first : first + 4] for first in range(0, len(expected), 4)]
    for number, piece in enumerate(reversed(pieces)):  # the last tell addresses of one network apart
        at = offset + 4 * (len(pieces) - 1 - number)
        left = 2 * (len(pieces) - 1 - number)
        load = LOAD_WORD if len(piece) == 4 else LOAD_HALF
        steps += [_step(load, at), _step(IF_EQUAL, int.from_bytes(piece, "big"), 0, left + len(then))]
    return steps + then


def _if_protocol(version: int, then: Program) -> Program:
    return [
        _step(LOAD_HALF, PROTOCOL),
        _step(IF_EQUAL, PROTOCOLS[version], 1, 0),
        _step(JUMP, len(then)),
        *then,
    ]


def _if_other_end(version: int, direction: str, other_end: Sequence[Address] | None, then: Program) -> Program:
    if other_end is None:
        return then
    other = "to" if direction == "from" else "from"
    offset = ADDRESSES[version, other]
    tests: list[Program] = [_if_bytes(offset, one.packed, [b""]) for one in other_end if one.version == version]
    tests.append([_step(LOAD_BYTE, offset), _step(IF_LEAST, MULTICAST[version], 0, 1), b""])
    length = sum(map(len, tests)) + 1
    steps: Program = []
    for test in tests:  # each ends with a jump to what is to run
        steps += [*test[:-1], _step(JUMP, length - len(steps) - len(test))]
    return [*steps, _step(JUMP, len(then)), *then]


def add_place(index: int, what: str) -> Request:
    """Return what makes a place for filters at an interface."""
    body = rtnetlink.QDISC.pack(0, index, CLSACT_HANDLE, CLSACT, 0) + netlink.attribute(
        rtnetlink.TCA_KIND, netlink.text("clsact")
    )
    return Request(rtnetlink.RTM_NEWQDISC, body, f"{what}, which takes CONFIG_NET_SCH_INGRESS, and no such qdisc there")


def delete_place(index: int) -> Request:
    body = rtnetlink.QDISC.pack(0, index, CLSACT_HANDLE, CLSACT, 0)
    return Request(rtnetlink.RTM_DELQDISC, body, "the end of a filter", requests.CHANGE)


def add_filter(index: int, place: int, order: int, steps: Sequence[bytes], what: str) -> Request:
    """Return what adds a filter.

    :param place: ``INGRESS`` or ``EGRESS``.
    :param order: tells filters of a place apart; the lowest comes first.
    """
    options = netlink.nested(
        rtnetlink.TCA_OPTIONS,
        netlink.attribute(TCA_BPF_OPS_LEN, struct.pack("=H", len(steps))),
        netlink.attribute(TCA_BPF_OPS, *steps),
        netlink.attribute(TCA_BPF_FLAGS, netlink.number(TCA_BPF_FLAG_ACT_DIRECT)),
    )
    body = _filter(index, place, order) + netlink.attribute(rtnetlink.TCA_KIND, netlink.text("bpf")) + options
    return Request(RTM_NEWTFILTER, body, f"{what}, which takes a kernel with CONFIG_NET_CLS_BPF")


def delete_filter(index: int, place: int, order: int) -> Request:
    return Request(RTM_DELTFILTER, _filter(index, place, order), "the end of a filter", requests.CHANGE)


def _filter(index: int, place: int, order: int) -> bytes:
    return rtnetlink.QDISC.pack(0, index, 0, place, order << 16 | EVERY_PROTOCOL)


def is_of_a_node(address: Address) -> bool:
    """Whether an address tells one node of a network from the others."""
    return not (address.is_loopback or address.is_link_local or address == ipaddress.IPv4Address(0))
