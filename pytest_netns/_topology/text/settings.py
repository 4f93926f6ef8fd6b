"""What a word between brackets means."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from ..._errors import is_meant
from ..._netns.sysctl import path_of, text_of
from ..model import KINDS
from . import checks, words
from .checks import Refused
from .words import LINK, NODE

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module


class Setting(NamedTuple):
    """A setting of a node or a link."""

    slot: str
    """What a node or a link has once: two settings of the same slot contradict each other, if they are not equal."""
    key: str
    value: Any
    text: str
    """As what errors call it: its key, or the whole word."""


class Unknown(Refused):
    """A word is not known; one of these may be meant."""

    def __init__(self, message: str, hint: str, word: str, known: tuple[str, ...]) -> None:
        super().__init__(message, hint)
        self.word = word
        self.known = known


QUANTITY = re.compile(r"([+-]?[0-9]*\.?[0-9]+)([A-Za-z%µ/]*)")
LIKE_AN_ADDRESS = re.compile(r"[0-9.]+\.[0-9.]+(/.*)?|[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(%.*)?(/.*)?|.*/[0-9]+")
QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
PLAIN = re.compile(r'[^\s"\[\]{}#\\]+')
"""A value that needs no quotes."""
OTHER = {NODE: LINK, LINK: NODE}


def interpret(word: str, of: str) -> Setting:
    """Return the setting that a word is.

    :param word: it, as in the text.
    :param of: ``NODE`` or ``LINK``.
    :raises Refused: it is none, or not of a node or a link.
    """
    key, equals, value = word.partition("=")
    if not equals and word in KINDS:
        return kind(word, of)
    if not equals and word == words.WIRE:
        raise Refused("'wire' is the word for a link that can have faults", words.LATER)
    is_key = key in READERS or key in words.FAULT_KEYS
    if not equals and not is_key:
        return quantity(word, of)
    if not key or not value:
        raise Refused(f"{word!r} is half a setting", "a setting is written key=value, without blanks around '='")
    if "." in key or "/" in key:
        return sysctl(key, value, of)
    if key in words.FAULT_KEYS:
        raise fault(key, value, of)
    if not is_key:
        raise unknown(word, key, of)
    if key not in KEYS[of]:
        raise misplaced(f"{key}=", of)
    return READERS[key](key, value)


def kind(word: str, of: str) -> Setting:
    if of == LINK:
        raise Refused(
            f"{word!r} is a kind of a node, and these are the settings of a link",
            f"write the name and the kind in a line of their own, such as: r1 [{word}]",
        )
    return Setting("kind of node", "kind of node", word, word)


# A setting that is no key=value: an address, a network, or what a link with faults has.


def quantity(word: str, of: str) -> Setting:
    if LIKE_AN_ADDRESS.fullmatch(word):
        return address_or_network(word, of)
    number = QUANTITY.fullmatch(word)
    if number is None:
        raise unknown(word, word, of)
    unit = number[2]
    if not unit:
        raise Refused(f"{word!r} is a number without a unit or a key", words.VALID[of])
    if unit.lower() not in words.QUANTITIES:
        known = tuple(words.QUANTITIES)
        raise Unknown(f"{unit!r} in {word!r} is no unit", f"units are {', '.join(known)}", unit, known)
    raise fault(words.QUANTITIES[unit.lower()], word, of)


def fault(key: str, value: str, of: str) -> Refused:
    """Return the error about a setting of a link with faults."""
    units = words.FAULT_KEYS[key].units
    number = QUANTITY.fullmatch(value)
    if number is None or number[2].lower() not in (units or ("",)):
        example = f"{key}=10{units[0] if units else ''}"
        known = f", in {', '.join(units)}" if units else ""
        unit = number[2] if number else ""
        return Unknown(f"{value!r} is no {key}", f"it is a number{known}, such as {example}", unit, units)
    what = f"{value!r} is the {key} of a link"
    return Refused(what, words.LATER) if of == LINK else Refused(f"{what}, and not of a node", words.VALID[NODE])


def address_or_network(word: str, of: str) -> Setting:
    try:
        interface = ipaddress.ip_interface(word)
    except ValueError as error:
        raise Refused(f"{word!r} is no address and no network: {error}", words.VALID[of]) from None
    if "%" in word:
        raise Refused(
            f"{word!r} has a zone", "leave out '%' and what follows: a link-local address is on each interface"
        )
    network = interface.network
    if of == NODE:
        if "/" in word:
            hint = f"the address of a node has no prefix: {interface.ip}; its link has the network: [{network}]"
            raise Refused(f"{word!r} has a prefix", hint)
        checks.address(interface.ip)
        return Setting(f"address {interface.ip}", "address", interface.ip, str(interface.ip))
    if "/" not in word:
        prefix = 24 if interface.version == 4 else 64
        near = ipaddress.ip_interface(f"{word}/{prefix}").network
        raise Refused(
            f"{word!r} is an address, and a link takes a network",
            f"such as {near}; an address belongs to its node: web [{word}]",
        )
    if interface.ip != network.network_address:
        raise Refused(f"{word!r} has host bits set", f"did you mean the network {network}?")
    checks.network(network)
    return Setting(f"network of IPv{network.version}", "network", network, str(network))


# A setting that is key=value


def number(key: str, value: str, check: Callable[[int], None]) -> int:
    if not (value.isascii() and value.isdigit()):
        raise Refused(f"{value!r} is no number", f"{key}= takes a whole number")
    if len(value) <= 9:
        check(int(value))
        return int(value)
    raise Refused(f"{value!r} is too large", f"{key}= takes a smaller number")


def read_mtu(key: str, value: str) -> Setting:
    return Setting(key, key, number(key, value, checks.mtu), key)


def read_switch(key: str, value: str) -> Setting:
    choices = {"on": True, "off": False}
    if value not in choices:
        raise Refused(f"{value!r} is neither on nor off", f"write {key}=on or {key}=off")
    return Setting(key, key, choices[value], key)


def read_nat(key: str, value: str) -> Setting:
    if value not in words.NAT_KINDS:
        hint = f"kinds are {', '.join(words.NAT_KINDS)}"
        raise Unknown(f"{value!r} is no kind of a NAT", hint, value, words.NAT_KINDS)
    return Setting(key, key, value, key)


def read_outside(key: str, value: str) -> Setting:
    checks.interface_name(value)
    return Setting(key, key, value, key)


def read_access(key: str, value: str) -> Setting:
    return Setting("VLAN", key, number(key, value, checks.vlan), key)


def read_trunk(key: str, value: str) -> Setting:
    vlans = tuple(number(key, one, checks.vlan) for one in value.split(","))
    if len(set(vlans)) < len(vlans):
        raise Refused(f"{value!r} has the same VLAN twice", "name each once")
    return Setting("VLAN", key, vlans, key)


READERS: dict[str, Callable[[str, str], Setting]] = {
    "mtu": read_mtu,
    "ipv6": read_switch,
    "routes": read_switch,
    "kind": read_nat,
    "outside": read_outside,
    "access": read_access,
    "trunk": read_trunk,
}
KEYS = {NODE: words.NODE_KEYS, LINK: words.LINK_KEYS}


def sysctl(key: str, value: str, of: str) -> Setting:
    if of == LINK:
        raise misplaced(key, of)
    quoted = QUOTED.fullmatch(value)
    if quoted:
        value = re.sub(r"\\(.)", r"\1", quoted[1])
    elif not PLAIN.fullmatch(value):
        raise Refused(f"{value!r} has a quotation mark or a backslash inside", 'quote it: "say \\"this\\""')
    try:
        return Setting(f"sysctl {path_of(key)}", "sysctl", (key, text_of(key, value)), key)
    except ValueError as error:
        raise Refused(str(error)) from None


def misplaced(what: str, of: str) -> Refused:
    """Return the error about a setting of a node at a link, or of a link at a node."""
    if of == LINK:
        hint = "write the name and the setting in a line of their own, such as: web [mtu=1400]"
    else:
        hint = "write it at the link, such as: a -- b [access=10]"
    return Refused(f"{what} is a setting of a {OTHER[of]}, and these are those of a {of}", hint)


def unknown(word: str, key: str, of: str) -> Refused:
    known = (*KEYS[of], *words.NODE_WORDS, *words.LINK_KEYS, *words.FAULT_KEYS, words.WIRE)
    return Unknown(f"{word!r} is no setting of a {of}", words.VALID[of], key, known)


# Back to text


def quoted(value: str) -> str:
    """Return a value of a sysctl as it stands in a text."""
    if PLAIN.fullmatch(value):
        return value
    return '"' + re.sub(r'(["\\])', r"\\\1", value) + '"'


def words_of(settings: Mapping[str, Any]) -> Iterator[str]:
    """Yield the words of the text form for settings that are given by name, which are checked as those of a text."""
    for key, value in settings.items():
        if key == "sysctl" and isinstance(value, Mapping):
            yield from (f"{name}={quoted(str(one))}" for name, one in value.items())
        elif isinstance(value, bool):
            yield f"{key}={'on' if value else 'off'}"
        elif isinstance(value, (list, tuple)):
            yield f"{key}={','.join(map(str, value))}"
        else:
            yield f"{key}={value}"
