"""Writes a page: a template, with everything that it shows in it as JSON."""

from __future__ import annotations

import html
import json
import string
from pathlib import PurePath
from typing import Any

from ..._linux import proc
from .contents import HIDDEN, KINDS, Contents, Event

SHOWN = 1024
"""Bytes of a packet that the page has; the capture has all."""


def write(contents: Contents) -> str:
    """Return a page as one file of HTML, which loads nothing from anywhere."""
    template = string.Template(_read("page.html"))
    return template.substitute(
        test=html.escape(contents.test),
        when=html.escape(contents.when),
        why=_why(contents),
        missing="".join(f"<li>{html.escape(text)}</li>" for text in contents.missing),
        drawing=contents.drawing,
        changes=html.escape(contents.changes),
        failure=html.escape(contents.failure),
        style=_read("page.css"),
        script=_read("page.js"),
        data=_json(contents),
    )


def _why(contents: Contents) -> str:
    first, *others = contents.why or ("The network shows no cause.",)
    text = f"<p class=cause>{html.escape(first)}</p>"
    return text + "".join(f"<p>{html.escape(other)}</p>" for other in others)


def _read(name: str) -> str:
    return proc.read(str(PurePath(__file__).with_name(name))).decode()  # a test may have a file system of its own


def _json(contents: Contents) -> str:
    """Return the timeline as JSON that can stand in a script element: nothing in it ends that or begins a comment."""
    data = {
        "hosts": contents.hosts,
        "kinds": KINDS,
        "hidden": HIDDEN,
        "events": [_as_data(event) for event in contents.events],
    }
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")


def _as_data(event: Event) -> dict[str, Any]:
    found: dict[str, Any] = {"t": round(event.time, 9), "kind": event.kind, "text": event.text}
    found |= {"from": event.source, "to": event.destination, "marks": event.marks, "bad": event.is_bad}
    found["parts"] = [[title, list(map(list, fields))] for title, fields in event.parts]
    if event.data:
        found |= {"data": event.data[:SHOWN].hex(), "length": len(event.data)}
    return found
