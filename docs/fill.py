"""Write into the pages the code of ``docs/snippets`` and the figures of ``docs/figures.json``.

So that the pages can be read wherever Markdown is shown, they contain both. A comment, which no reader sees, says where
each comes from, and ``tests/test_docs_code.py`` compares them::

    <!-- code: snippets/first/test_echo.py 1-4 -->
    ```python
    (the file, or these of its lines)
    ```

    A socket takes <!-- figure: socket.resident -->0.033 ms<!-- end -->, which is
    <!-- figure: socket.fork / socket.resident -->120<!-- end --> times less than a fork.

Run as ``python docs/fill.py``, or ``make pages``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
PROJECT = DOCS.parent
PAGES = (
    PROJECT / "README.md",
    PROJECT / "trials" / "bench" / "README.md",
    *sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts),
)

CODE = re.compile(r"^<!-- code: (\S+)(?: (\d+)-(\d+))? -->\n```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FIGURE = re.compile(r"<!-- figure: ([^>]*?) -->(.*?)<!-- end -->", re.DOTALL)


class Figures:
    """What one run of ``make bench`` has measured."""

    def __init__(self, path: Path) -> None:
        measured: dict[str, Any] = json.loads(path.read_text())
        self.machine: Mapping[str, str] = measured["machine"]
        self.rows: Mapping[str, Any] = {row["key"]: row for part in measured["sections"] for row in part["rows"]}

    def text(self, wanted: str) -> str:
        """Return a median with its unit, the ratio of two of them, or what the run was made on."""
        if wanted == "machine":
            machine = self.machine
            linux, python = (".".join(machine[name].split(".")[:2]) for name in ("kernel", "python"))
            return f"{linux}, {machine['cores']} cores, Python {python}, pyroute2 {machine['pyroute2']}"
        key, _, other = wanted.partition(" / ")
        row = self.rows[key]
        if other:
            return two_digits(row["median"] / self.rows[other]["median"])
        if row["unit"] == "s":
            return f"{two_digits(row['median'] * 1e3)} ms"
        return f"{two_digits(row['median'])} {row['unit']}".rstrip()


def two_digits(number: float) -> str:
    """Return a number with two significant digits: more is noise."""
    rounded = float(f"{number:.2g}")
    return f"{rounded:.0f}" if rounded >= 10 else f"{rounded:.2g}"


def filled(text: str, folder: Path, figures: Figures) -> str:
    """Return the text of a page with its code and its figures as they are in the files.

    :param folder: where the page is; a path in it begins there or, if it is one of the snippets, in ``docs``.
    """

    def code(match: re.Match[str]) -> str:
        path, first, last, language, _ = match.groups()
        file = (DOCS if path.startswith("snippets/") else folder) / path
        lines = file.read_text().splitlines()
        if first:
            lines = lines[int(first) - 1 : int(last)]
        comment = match[0].partition("\n")[0]
        return "\n".join([comment, f"```{language}", *lines, "```"])

    def figure(match: re.Match[str]) -> str:
        return f"<!-- figure: {match[1]} -->{figures.text(match[1])}<!-- end -->"

    return FIGURE.sub(figure, CODE.sub(code, text))


if __name__ == "__main__":
    figures = Figures(DOCS / "figures.json")
    for page in PAGES:
        page.write_text(filled(page.read_text(), page.parent, figures))
