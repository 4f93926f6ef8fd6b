"""A network as SVG: one file that needs no other, legible on light and on dark pages, and on a phone."""

from __future__ import annotations

import zlib
from xml.sax.saxutils import escape

from .. import model
from ..plan import Plan
from .layout import Box, Layout, Words, lay_out

ROUNDING = {model.HOST: 6, model.ROUTER: 17, model.SWITCH: 0, model.NAT: 17}
"""The radius of the corners of a box, in pixels."""

SPOKEN = 20
"""How many nodes the title names."""

STYLE = """\
    {here} .page {{ fill: #ffffff; }}
    {here} text {{ fill: #1c1c1c; font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }}
    {here} .name {{ font-weight: 700; }}
    {here} .kind, {here} .address {{ fill: #555b61; }}
    {here} .line {{ fill: none; stroke: #6a7076; stroke-width: 1.5; stroke-linejoin: round; }}
    {here} rect.node {{ stroke-width: 1.5; }}
    {here} .host {{ fill: #eaf3fb; stroke: #3b7db8; }}
    {here} .router {{ fill: #fdf0e2; stroke: #c2701d; }}
    {here} .switch {{ fill: #e8f5ef; stroke: #2a8f66; }}
    {here} .nat {{ fill: #f5ecf9; stroke: #9353b3; stroke-dasharray: 6 3; }}
    @media (prefers-color-scheme: dark) {{
      {here} .page {{ fill: #1b1e22; }}
      {here} text {{ fill: #eaeaea; }}
      {here} .kind, {here} .address {{ fill: #b4bac0; }}
      {here} .line {{ stroke: #969ca3; }}
      {here} .host {{ fill: #1d2f3e; stroke: #5fa3dd; }}
      {here} .router {{ fill: #3b2a18; stroke: #dd9347; }}
      {here} .switch {{ fill: #18352a; stroke: #45b487; }}
      {here} .nat {{ fill: #32233a; stroke: #bb82d8; }}
    }}
"""


def svg(plan: Plan) -> str:
    """Return a network as SVG."""
    layout = lay_out(plan)
    names = names_of(plan)
    body = "\n".join(f"  {element}" for element in elements(layout))
    # A page may have several in it: neither their titles nor their styles are to meet.
    identifier = f"network-{zlib.crc32((names + body).encode()):08x}"
    width, height = number(layout.width), number(layout.height)
    return f"""\
<svg xmlns="http://www.w3.org/2000/svg" id="{identifier}" width="{width}" height="{height}" \
viewBox="0 0 {width} {height}" style="max-width: 100%; height: auto" role="img" aria-labelledby="{identifier}-title">
  <title id="{identifier}-title">A network: {escape(names)}</title>
  <style>
{STYLE.format(here=f"#{identifier}")}  </style>
  <rect class="page" width="{width}" height="{height}" rx="8"/>
{body}
</svg>
"""


def names_of(plan: Plan) -> str:
    """Return what is in a picture, for those who cannot see it."""
    names = [f"{name} ({planned.kind})" for name, planned in plan.nodes.items()]
    more = len(names) - SPOKEN
    return ", ".join(names[:SPOKEN]) + (f" and {more} more" if more > 0 else "")


def elements(layout: Layout) -> list[str]:
    """Return everything in a picture, what is in front last."""
    lines = [
        '<path class="line" d="M' + " L".join(f"{number(x)} {number(y)}" for x, y in points) + '"/>'
        for points in layout.lines
    ]
    return [*lines, *map(box_of, layout.boxes), *map(text_of, layout.words)]


def box_of(box: Box) -> str:
    place = f'x="{number(box.x)}" y="{number(box.y)}" width="{number(box.width)}" height="{number(box.height)}"'
    return f'<rect class="node {box.kind}" {place} rx="{ROUNDING[box.kind]}"/>'


def text_of(words: Words) -> str:
    # Whatever the font of the reader is, the text is as wide as what was laid out.
    place = f'x="{number(words.x)}" y="{number(words.y)}" font-size="{words.size}" textLength="{number(words.width)}"'
    return f'<text class="{words.role}" {place} lengthAdjust="spacingAndGlyphs">{escape(words.text)}</text>'


def number(value: float) -> str:
    """Return a number of pixels, with no more digits than anybody sees."""
    return f"{value:.1f}".removesuffix(".0")
