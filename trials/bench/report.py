"""The table: sections of rows, with ratios between them, in a hundred columns of plain text."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from .timing import Sample

WIDTH = 100
LABEL = 44


@dataclass(frozen=True)
class Row:
    """One thing that was measured; ``key`` names it in the JSON and for the promises."""

    key: str
    label: str
    sample: Sample


@dataclass(frozen=True)
class Column:
    """Ratios of medians.

    :param pairs: for the key of a row the key of the row it is divided by, or which, ``inverted``, is divided by it.
    """

    title: str
    pairs: Mapping[str, str]
    inverted: bool = False

    def ratio(self, key: str, samples: Mapping[str, Sample]) -> float | None:
        other = self.pairs.get(key)
        if other is None or other not in samples:
            return None
        above, below = (other, key) if self.inverted else (key, other)
        return samples[above].median / samples[below].median


@dataclass(frozen=True)
class Section:
    """Rows that belong together; its text is a part of the table."""

    title: str
    rows: tuple[Row, ...]
    columns: tuple[Column, ...] = ()
    note: str | None = None

    def ratios(self) -> dict[str, list[float | None]]:
        samples = {row.key: row.sample for row in self.rows}
        return {row.key: [column.ratio(row.key, samples) for column in self.columns] for row in self.rows}

    def __str__(self) -> str:
        ratios = self.ratios()
        titles = "".join(f"{column.title:>12}" for column in self.columns)
        unit = "ms" if any(row.sample.unit == "s" for row in self.rows) else ""
        lines = [rule(self.title), f"{'':{LABEL}}{'median ' + unit:>11}{'middle half':>21}{titles}".rstrip()]
        for row in self.rows:
            cells = "".join(f"{'' if ratio is None else times(ratio):>12}" for ratio in ratios[row.key])
            lines.append(f"{row.label:{LABEL}}{value(row.sample):>11}{middle_half(row.sample):>21}{cells}".rstrip())
        if self.note:
            lines.append(f"  {self.note}")
        return "\n".join(lines)

    def as_data(self) -> dict[str, Any]:
        ratios = self.ratios()
        rows = []
        for row in self.rows:
            found = {column.title: ratio for column, ratio in zip(self.columns, ratios[row.key], strict=True) if ratio}
            rows.append({"key": row.key, "label": row.label, **vars(row.sample), "ratios": found})
        return {"title": self.title, "rows": rows, "note": self.note}


def rows(samples: Mapping[str, Sample], labels: Mapping[str, str]) -> tuple[Row, ...]:
    """Return a row for each label whose key was measured, in the order of the labels."""
    return tuple(Row(key, label, samples[key]) for key, label in labels.items() if key in samples)


def rule(title: str) -> str:
    """Return a title drawn out to the width of the table."""
    return f"-- {title} ".ljust(WIDTH, "-")


def number(milliseconds: float) -> str:
    return f"{milliseconds:.4f}" if abs(milliseconds) < 0.1 else f"{milliseconds:.3f}"


def value(sample: Sample) -> str:
    if sample.unit == "s":
        return number(sample.median * 1e3)
    return f"{sample.median:.1f} {sample.unit}" if sample.unit in ("MB", "kB") else f"{sample.median:.0f}"


def middle_half(sample: Sample) -> str:
    """Return the quartiles, between which half of the values lie."""
    if sample.unit != "s" or sample.count < 2:
        return ""
    return f"{number(sample.low * 1e3)} - {number(sample.high * 1e3)}"


def times(ratio: float) -> str:
    return f"{ratio:.0f}x" if ratio >= 20 else f"{ratio:.2f}x"


def machine() -> dict[str, str]:
    """Return what the numbers depend on; no name of a machine is among it."""
    return {
        "kernel": f"{platform.system()} {platform.release().split('-')[0]}",
        "cores": str(len(os.sched_getaffinity(0))),
        "python": platform.python_version(),
        "pyroute2": version("pyroute2"),
        "pytest": version("pytest"),
    }


def heading(machine: Mapping[str, str], quick: bool) -> str:
    programs = f"Python {machine['python']}, pyroute2 {machine['pyroute2']}, pytest {machine['pytest']}"
    lines = ["pytest-netns, measured side by side", f"{machine['kernel']}, {machine['cores']} cores, {programs}"]
    if quick:
        lines.append("--quick: few rounds, so these numbers show that it runs and nothing more")
    return "\n".join(lines)


def aligned(lines: Iterable[tuple[str, str, str, str]]) -> str:
    """Return the lines of the promises: a text, what was promised, what was measured, and the verdict."""
    return "\n".join(
        f"{text:64}{promised:>12}{measured:>14}{verdict:>10}".rstrip() for text, promised, measured, verdict in lines
    )
