"""The ``topodef`` dicts of a folder of tests, found by their assignments; nothing else of the tests is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = "topodef"


@dataclass(frozen=True)
class Found:
    """An assignment to ``topodef``.

    :param where: the file and the line.
    :param lans: the dict, or ``None`` where it takes more than an expression to know it.
    """

    where: str
    lans: Mapping[Any, Any] | None


def find(folder: Path) -> Iterator[Found]:
    """Yield those of all files below a folder, in their order.

    :raises SyntaxError: a file is no Python.
    """
    for path in sorted(folder.rglob("*.py")):
        text = path.read_text()
        if NAME not in text:
            continue
        for node in ast.walk(ast.parse(text, str(path))):
            if isinstance(node, ast.Assign) and any(
                isinstance(one, ast.Name) and one.id == NAME for one in node.targets
            ):
                yield Found(f"{path.relative_to(folder)}:{node.lineno}", _dict_of(node.value))


def _dict_of(node: ast.expr) -> Mapping[Any, Any] | None:
    """Return what an expression is, with nothing to call but ``range``; ``None`` where it takes more of its file."""
    try:
        value = eval(compile(ast.Expression(node), NAME, "eval"), {"__builtins__": {"range": range}})
    except NameError:
        return None
    return value if isinstance(value, dict) else None
