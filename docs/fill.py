"""Write into the pages code of ``docs/snippets``, drawings of its networks, and figures of ``docs/figures.json``.

So that the pages can be read wherever Markdown is shown, they contain all of it. A comment, which no reader sees, says
where each comes from, and ``tests/project/test_docs_code.py`` compares them::

    <!-- code: snippets/first/test_echo.py 1-4 -->
    ```python
    (the file, or these of its lines)
    ```

    <!-- drawing: snippets/networks/test_router.py -->
    ```text
    (the network of the first marker ``netns_topology`` there, as ``print`` draws it)
    ```

    <!-- picture: snippets/networks/test_router.py -->
    ![(what is in it)](../pictures/networks/networks-router.svg)

    A socket takes <!-- figure: socket.resident -->0.033 ms<!-- end -->, which is
    <!-- figure: socket.fork / socket.resident -->120<!-- end --> times less than a fork.

The pictures are written too. Run as ``python docs/fill.py``, or ``make pages``.
"""

from __future__ import annotations

import ast
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from pytest_netns import Topology

DOCS = Path(__file__).resolve().parent
PROJECT = DOCS.parent
PAGES = (
    PROJECT / "README.md",
    PROJECT / "trials" / "bench" / "README.md",
    *sorted(path for path in DOCS.rglob("*.md") if "_build" not in path.parts),
)

CODE = re.compile(r"^<!-- code: (\S+)(?: (\d+)-(\d+))? -->\n```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
DRAWING = re.compile(r"^(<!-- drawing: (\S+) -->)\n```text\n.*?^```$", re.MULTILINE | re.DOTALL)
PICTURE = re.compile(r"^(<!-- picture: (\S+) -->)\n!\[.*?\]\(.*?\)$", re.MULTILINE)
PICTURES = DOCS / "pictures" / "networks"
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


def network_of(file: Path) -> Topology:
    """Return the network of the first marker ``netns_topology`` in a file, which has its text or the name of one."""
    tree = ast.parse(file.read_text())
    texts = {
        node.targets[0].id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.netns_topology":
            text = node.args[0]
            return Topology(ast.literal_eval(texts[text.id] if isinstance(text, ast.Name) else text))
    raise ValueError(f"{file} has no network")


def picture_of(path: str) -> tuple[Path, str]:
    """Return where the picture of the network of a snippet is, and its text."""
    file = DOCS / path
    return PICTURES / f"{file.parent.name}-{file.stem.removeprefix('test_')}.svg", network_of(file).svg()


def pictures() -> dict[Path, str]:
    """Return the pictures that the pages show."""
    return dict(picture_of(match[2]) for page in PAGES for match in PICTURE.finditer(page.read_text()))


def filled(text: str, folder: Path, figures: Figures) -> str:
    """Return the text of a page with its code, drawings and figures as they are in the files.

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

    def drawing(match: re.Match[str]) -> str:
        return "\n".join([match[1], "```text", str(network_of(DOCS / match[2])), "```"])

    def picture(match: re.Match[str]) -> str:
        where, svg = picture_of(match[2])
        title = ElementTree.fromstring(svg)[0].text
        return f"{match[1]}\n![{title}]({Path(os.path.relpath(where, folder)).as_posix()})"

    for pattern, fill in ((CODE, code), (DRAWING, drawing), (PICTURE, picture), (FIGURE, figure)):
        text = pattern.sub(fill, text)
    return text


if __name__ == "__main__":
    figures = Figures(DOCS / "figures.json")
    for page in PAGES:
        page.write_text(filled(page.read_text(), page.parent, figures))
    PICTURES.mkdir(exist_ok=True)
    wanted = pictures()
    for stale in set(PICTURES.iterdir()) - set(wanted):
        stale.unlink()
    for path, svg in wanted.items():
        path.write_text(svg)
