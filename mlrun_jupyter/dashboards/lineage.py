"""A graph of lineage as SVG: columns by how far a thing is from what has nothing before it."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from mlrun_jupyter.dashboards.look import COLOURS

if TYPE_CHECKING:
    from mlrun_jupyter.lineage import Graph

WIDE, HIGH, ACROSS, DOWN, LETTERS = 176, 40, 48, 14, 24
NAMES = {"feature-set": "feature set", "feature-vector": "feature vector"}


def columns(graph: Graph) -> dict[str, int]:
    """By node the length of the longest way to it; ways that go in a circle are cut."""
    before: dict[str, list[str]] = {node.id: [] for node in graph.nodes}
    for edge in graph.edges:
        before[edge.target].append(edge.source)
    found: dict[str, int] = {}
    going: set[str] = set()

    def depth(node: str) -> int:
        if node in found:
            return found[node]
        if node in going:
            return 0
        going.add(node)
        found[node] = max((depth(one) + 1 for one in before[node]), default=0)
        going.discard(node)
        return found[node]

    for node in before:
        depth(node)
    return found


def drawing(graph: Graph, theme: str) -> str:
    """SVG, in the theme's colours; it scrolls by itself."""
    c = COLOURS[theme]
    at = columns(graph)
    rows: dict[int, int] = {}
    places: dict[str, tuple[int, int]] = {}
    for node in graph.nodes:
        column = at[node.id]
        places[node.id] = (column * (WIDE + ACROSS) + 2, rows.get(column, 0) * (HIGH + DOWN) + 2)
        rows[column] = rows.get(column, 0) + 1
    width = (max(at.values(), default=0) + 1) * (WIDE + ACROSS) - ACROSS + 4
    height = max(rows.values(), default=1) * (HIGH + DOWN) - DOWN + 4
    lines = []
    for edge in graph.edges:
        (x1, y1), (x2, y2) = places[edge.source], places[edge.target]
        x1, y1, y2 = x1 + WIDE, y1 + HIGH // 2, y2 + HIGH // 2
        bend = max(20, (x2 - x1) // 2)
        lines.append(f"<path d='M{x1},{y1} C{x1 + bend},{y1} {x2 - bend},{y2} {x2},{y2}' fill='none' stroke='{c['dim']}' stroke-opacity='.6' marker-end='url(#arrow)'/>")
    boxes = []
    for node in graph.nodes:
        x, y = places[node.id]
        title = node.title if len(node.title) <= LETTERS else f"{node.title[: LETTERS - 1]}…"
        kind = NAMES.get(node.kind, node.kind)
        strong = node.kind.startswith("feature-")
        boxes.append(
            f"<g><title>{escape(node.uri or node.id)}</title><rect x='{x}' y='{y}' width='{WIDE}' height='{HIGH}' rx='5' fill='{c['card']}' stroke='{c['bar'] if strong else c['line']}' stroke-width='{1.5 if strong else 1}'/>"
            f"<text x='{x + 10}' y='{y + 17}' font-size='12.5' fill='{c['ink']}'>{escape(title)}</text>"
            f"<text x='{x + 10}' y='{y + 31}' font-size='10.5' fill='{c['dim']}'>{escape(kind)}{f' · {escape(node.state)}' if node.state else ''}</text></g>"
        )  # fmt: skip
    arrow = f"<defs><marker id='arrow' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='7' markerHeight='7' orient='auto'><path d='M0,0 L8,4 L0,8 z' fill='{c['dim']}'/></marker></defs>"
    return f"<div style='overflow-x:auto'><svg width='{width}' height='{height}' role='img' aria-label='Lineage' font-family='system-ui,sans-serif'>{arrow}{''.join(lines)}{''.join(boxes)}</svg></div>"
