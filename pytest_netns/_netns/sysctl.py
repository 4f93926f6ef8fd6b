"""The sysctls of a namespace, as a mapping."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, MutableMapping

from .._arguments import check_mapping, check_type
from .._child.resident import requests
from .._errors import NetNSOSError, is_meant

__tracebackhide__ = is_meant  # --full-trace shows the frames of this module

Ask = Callable[..., str]
"""Sends a verb of the resident child's program, with its arguments, for one namespace; returns the answer's text."""


def path_of(key: str) -> str:
    """Return the file below /proc/sys for a key such as ``net.ipv4.ip_forward``.

    As in sysctl(8), a slash for a separator lets a dot be part of a name: ``net/ipv4/conf/eth0.100/forwarding``.

    :raises TypeError: it is no text.
    :raises ValueError: it is no sysctl of a network namespace.
    """
    check_type(key, str, "the name of a sysctl is a str, such as 'net.ipv4.ip_forward'")
    path = key if "/" in key else key.replace(".", "/")
    parts = path.split("/")
    if len(parts) < 2 or parts[0] != "net" or not key.isprintable() or not all(part.strip(".") for part in parts):
        raise ValueError(
            f"{key!r} is no sysctl of a network namespace; valid ones begin with 'net.', see sysctl -N net"
        )
    return path


def text_of(key: str, value: object) -> str:
    """Return what to write for a value: text as it is, numbers in decimal, ``True`` as ``1``.

    :raises TypeError: it is neither text nor a number.
    :raises ValueError: it is more than one line of text.
    """
    if not isinstance(value, (str, int)):
        raise TypeError(f"the value of the sysctl {key!r} is a str, an int or a bool, not {value!r}")
    text = value if isinstance(value, str) else str(int(value))
    if not text.replace("\t", " ").removesuffix("\n").isprintable():
        raise ValueError(f"the value of the sysctl {key!r} is one line of text, not {value!r}")
    return text


def checked(values: Mapping[str, str | int]) -> dict[str, str]:
    """Return paths and texts for keys and values.

    :raises TypeError: it is no mapping, or one of them is of a wrong type.
    :raises ValueError: one of them cannot be.
    """
    check_mapping(values, "sysctl", {"net.ipv4.ip_forward": 1})
    return {path_of(key): text_of(key, value) for key, value in values.items()}


class Sysctl(MutableMapping[str, str]):
    """The sysctls of a namespace: reading gives text, writing takes text or a number."""

    __module__ = "pytest_netns"

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def __getitem__(self, key: str) -> str:
        path = path_of(key)
        try:
            return self._ask(requests.READ_SYSCTL, path).rstrip("\n")
        except NetNSOSError as error:
            if isinstance(error.__cause__, FileNotFoundError) or error.errno == 2:
                raise KeyError(key) from error
            raise

    def __setitem__(self, key: str, value: str | int) -> None:
        self._ask(requests.WRITE_SYSCTL, path_of(key), text_of(key, value))

    def __delitem__(self, key: str) -> None:
        raise TypeError("a sysctl cannot be deleted; write its default instead")

    def __iter__(self) -> Iterator[str]:
        for path in sorted(self._ask(requests.LIST_SYSCTL).split("\0")):
            yield requests.key_of(path)

    def __len__(self) -> int:
        return sum(1 for _ in self)
