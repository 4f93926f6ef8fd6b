"""What grew, as a table and a picture."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

# What may be more at the end than at the beginning: of what is counted nothing, of memory what pytest itself keeps of a
# test (measured by a run without the plugin) and as much as the allocator may take for fragments.
MEMORY_SLACK = 2.0  # MB
CONTROL = "without the plugin"
UNITS = {"memory": "MB", "memory of the resident child": "MB"}

Samples = dict[str, list[tuple[int, float]]]
"""For each process, the number of its tests so far and a value."""


@dataclass
class Growth:
    """What one quantity of one process did between the first and the last third of the samples that count."""

    quantity: str
    process: str
    first: float
    last: float
    limit: float

    @property
    def is_too_much(self) -> bool:
        return self.last > self.first + self.limit

    def __str__(self) -> str:
        unit = UNITS.get(self.quantity, "")
        text = f"{self.process}: {self.quantity} {self.first:.4g} -> {self.last:.4g} {unit}".rstrip()
        return text + (f"  GREW by more than {self.limit:.3g}" if self.is_too_much else "")


def read(folder: Path) -> dict[str, Samples]:
    """Return what was recorded: quantity, process, samples."""
    found: dict[str, Samples] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            sample = json.loads(line)
            tests = sample.pop("tests")
            for quantity, value in sample.items():
                found.setdefault(quantity, {}).setdefault(path.stem, []).append((tests, value))
    return found


def growths(found: dict[str, Samples], begin: int, memory_per_test: float) -> Iterable[Growth]:
    """Compare the first and the last third of what was recorded from a test on.

    :param begin: the number of that test.
    :param memory_per_test: what pytest itself keeps, in MB.
    """
    for quantity, samples in found.items():
        for process, points in samples.items():
            counted = [point for point in points if point[0] >= begin]
            if len(counted) < 6:
                raise ValueError(f"{process} has only {len(counted)} samples from test {begin} on: run more tests")
            third = len(counted) // 3
            first, last = [value for _, value in counted[:third]], [value for _, value in counted[-third:]]
            if quantity in UNITS:
                tests = counted[-1][0] - counted[0][0]
                pytests = memory_per_test * tests if quantity == "memory" else 0.0
                limit = MEMORY_SLACK + pytests
                yield Growth(quantity, process, statistics.median(first), statistics.median(last), limit)
            else:
                yield Growth(quantity, process, max(first), max(last), 0)


# One column, with a text that is legible where a phone shows the picture at four fifths of its size.
WIDTH, HEIGHT, LEFT, TOP = 400, 150, 66, 34
COLOURS = ("#3d85c6", "#d2691e", "#57a639", "#9a6dd0")  # they stand out from white and from black
STYLE = """<style>
.card { fill: #ffffff; stroke: #c8ccd0; }
text { fill: #1c1c1c; }
.axis { fill: none; stroke: #1c1c1c; stroke-opacity: 0.5; }
@media (prefers-color-scheme: dark) {
  .card { fill: #1b1e22; stroke: #454b52; }
  text { fill: #eaeaea; }
  .axis { stroke: #eaeaea; }
}
</style>
"""


def picture(found: dict[str, Samples], begin: int, title: str) -> str:
    """Return an SVG: a panel for each quantity, a line for each process."""
    panels = [
        _panel(quantity, samples, begin, 30 + index * HEIGHT) for index, (quantity, samples) in enumerate(found.items())
    ]
    height = 40 + len(panels) * HEIGHT
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'role="img" aria-labelledby="netns-soak-title" font-family="system-ui, sans-serif" font-size="14">\n'
        f'<title id="netns-soak-title">{title}: what workers and resident children have, after so many</title>\n'
        f'{STYLE}<rect class="card" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="10"/>\n'
        f'<text x="14" y="24" font-size="15">{title}</text>\n' + "\n".join(panels) + "\n</svg>\n"
    )


def _panel(quantity: str, samples: Samples, begin: int, y: int) -> str:
    right, top = WIDTH - 20, 22
    bottom = HEIGHT - TOP
    most_tests = max(tests for points in samples.values() for tests, _ in points)
    values = [value for points in samples.values() for _, value in points]
    most = max(1.0, max(values) * 1.15)

    def across(tests: float) -> float:
        return LEFT + (right - LEFT) * tests / most_tests

    def up(value: float) -> float:
        return y + bottom - (bottom - top) * value / most

    unit = f", {UNITS[quantity]}" if quantity in UNITS else ""
    parts = [
        f'<text x="{LEFT}" y="{y + 14}">{quantity}{unit}</text>',
        f'<path class="axis" d="M{LEFT},{y + top} V{y + bottom} H{right}"/>',
        f'<text x="{LEFT - 6}" y="{up(max(values)) + 4:.1f}" text-anchor="end">{max(values):.4g}</text>',
        f'<text x="{LEFT - 6}" y="{y + bottom}" text-anchor="end">0</text>',
        f'<text x="{right}" y="{y + bottom + 14}" text-anchor="end">{most_tests} tests</text>',
        f'<path class="axis" d="M{across(begin):.1f},{y + top} V{y + bottom}" stroke-dasharray="2 4"/>',
        f'<text x="{across(begin):.1f}" y="{y + bottom + 14}" text-anchor="middle">{begin}</text>',
    ]
    for colour, (process, points) in zip(COLOURS, samples.items(), strict=False):
        line = " ".join(f"{across(tests):.1f},{up(value):.1f}" for tests, value in points)
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"><title>{process}</title>'
            "</polyline>"
        )
        if process == CONTROL:
            parts.append(f'<text x="{right}" y="{up(points[-1][1]) + 14:.1f}" text-anchor="end">{CONTROL}</text>')
    return "\n".join(parts)
