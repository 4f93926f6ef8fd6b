"""A network for Graphviz and for Mermaid."""

from __future__ import annotations

from collections.abc import Iterator

from .. import model
from ..plan import Plan, Planned, Port
from .captions import kind_of, settings_of

DOT_SHAPES = {model.HOST: "box", model.ROUTER: "ellipse", model.SWITCH: "hexagon", model.NAT: "octagon"}
MERMAID_SHAPES = {
    model.HOST: ("[", "]"),
    model.ROUTER: ("([", "])"),
    model.SWITCH: ("{{", "}}"),
    model.NAT: ("[[", "]]"),
}


def links_of(plan: Plan) -> Iterator[tuple[Port, Port]]:
    """Yield the two ends of each link, in the order of the text."""
    ports: dict[int, list[Port]] = {}
    for planned in plan.nodes.values():
        for port in planned.ports:
            ports.setdefault(id(port.link), []).append(port)
    for link in plan.network.links:
        one, other = ports[id(link)]
        yield (one, other) if one.node.name == link.left.node else (other, one)


def caption(port: Port) -> list[str]:
    """Return an interface and its addresses, a line each."""
    return [port.name, *map(str, port.addresses)]


def dot(plan: Plan) -> str:
    """Return a network in Graphviz's language, for ``dot`` or another of its programs."""
    lines = ["graph network {", "  node [fontname=sans]", "  edge [fontname=sans fontsize=10]"]
    for name, planned in plan.nodes.items():
        label = in_dot([name, kind_of(planned)])
        lines.append(f"  {in_dot([name])} [label={label} shape={DOT_SHAPES[planned.kind]}]")
    for left, right in links_of(plan):
        labels = {"taillabel": caption(left), "headlabel": caption(right), "label": [settings_of(left)]}
        settings = " ".join(f"{key}={in_dot(rows)}" for key, rows in labels.items() if any(rows))
        lines.append(f"  {in_dot([left.node.name])} -- {in_dot([right.node.name])} [{settings}]")
    return "\n".join([*lines, "}"])


def in_dot(rows: list[str]) -> str:
    """Return lines of text as one word of Graphviz."""
    return '"' + r"\n".join(row.replace("\\", r"\\").replace('"', r"\"") for row in rows) + '"'


def mermaid(plan: Plan) -> str:
    """Return a network as a flowchart of Mermaid."""
    lines = ["flowchart TB"]
    for planned in plan.nodes.values():
        before, after = MERMAID_SHAPES[planned.kind]
        lines.append(f"  {mermaid_id(planned)}{before}{in_mermaid([planned.name, kind_of(planned)])}{after}")
    for left, right in links_of(plan):
        rows = [" ".join(caption(left)), settings_of(left), " ".join(caption(right))]
        lines.append(
            f"  {mermaid_id(left.node)} ---|{in_mermaid([row for row in rows if row])}| {mermaid_id(right.node)}"
        )
    return "\n".join(lines)


def mermaid_id(planned: Planned) -> str:
    """Return what is no word of Mermaid's, such as ``end``, whatever a node is called."""
    return f"n{planned.number}"


def in_mermaid(rows: list[str]) -> str:
    """Return lines of text as a label of Mermaid, which has its own escapes."""
    return (
        '"' + "<br/>".join(row.replace("#", "#35;").replace('"', "#quot;").replace("<", "#lt;") for row in rows) + '"'
    )
