"""Parallel coordinates of a sweep as one HTML page that needs nothing beside it: an axis for each parameter and result, a line
for each iteration. Drawn as SVG, coloured by the selector's result; the page follows the reader's light or dark scheme."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any, NamedTuple

from mlrun_jupyter.runs.sweeps.selection import Selector, number
from mlrun_jupyter.runs.sweeps.table import Rows

LINES = 2000
FEW = 9
CLOSE = 0.075
"""Marks nearer to an end than this part of the axis would run into its mark."""
AXES = 16
LEFT, TOP, HEIGHT = 84, 58, 320
# pixels between two axes: few of them are spread out, many scroll
NEAREST, FARTHEST, WIDTH = 132, 260, 780
PAGE_HEIGHT = TOP + HEIGHT + 130
_STYLE = """
:root{color-scheme:light dark;--page:#fff;--text:#1f2328;--dim:#667079;--axis:#8b949e;--low:#c9dcef;--high:#0b4f9e;--best:#c2410c;--off:#a8b0b8}
@media (prefers-color-scheme:dark){:root{--page:#16191d;--text:#e6e9ec;--dim:#9aa4ae;--axis:#6b757f;--low:#23415f;--high:#8cc8ff;--best:#ff9d5c;--off:#59626b}}
body{margin:0;padding:16px 20px;background:var(--page);color:var(--text);font:13px/1.45 system-ui,-apple-system,"Segoe UI",sans-serif}
h1{font-size:15px;margin:0 0 2px}p{margin:0;color:var(--dim)}.plot{overflow-x:auto}svg{display:block}
text{fill:var(--text);font-size:12px}.tick{fill:var(--dim);font-size:11px;paint-order:stroke;stroke:var(--page);stroke-width:4px}
.name{font-weight:600}.kind{fill:var(--dim);font-size:10.5px}
.axis{stroke:var(--axis);stroke-width:1}.run path{fill:none;stroke-linejoin:round}.hit{stroke:transparent;stroke-width:11}
.seen{stroke-width:1.5;opacity:.8}.off .seen{stroke:var(--off);stroke-dasharray:3 4}.best .seen{stroke:var(--best);stroke-width:3;opacity:1}
.runs:hover .seen{opacity:.12}.runs .run:hover .seen{opacity:1;stroke-width:3}
"""


class _Axis(NamedTuple):
    name: str
    kind: str
    places: list[float | None]
    """Of each row, from 0 (bottom) to 1 (top); ``None``: it has no value."""
    ticks: list[tuple[float, str]]


def page(
    title: str, rows: Rows, *, selector: Selector | None = None, best: int = 0, logarithmic: Sequence[str] = (),
    labels: Sequence[str] = (), noun: str = "iteration",
) -> str:  # fmt: skip
    """The page.

    :param rows: header and rows, as :func:`mlrun_jupyter.runs.sweeps.table.rows_of` gives them.
    :param best: the iteration that is emphasised; 0: none.
    :param logarithmic: parameters whose axis is.
    :param labels: what the rows are called, in their order; else by their number.
    :param noun: what a row is.
    """
    header, body = rows[0], list(rows[1:])
    if len(body) > LINES:
        step = len(body) / LINES
        kept = {body[int(at * step)] for at in range(LINES)} | {row for row in body if row[1] == best}
        body = [row for row in body if row in kept]
    judged = header.index(f"output.{selector.key}") if selector and f"output.{selector.key}" in header else -1
    axes = _axes(header, body, judged, logarithmic)
    shades = _shades(body, judged, selector)
    completed = sum(row[0] == "completed" for row in rows[1:])
    facts = [f"{len(rows) - 1:,} {noun}s, {completed:,} completed{f', {len(body):,} drawn' if len(body) < len(rows) - 1 else ''}"]
    if best and judged >= 0 and selector:
        value = next((row[judged] for row in body if row[1] == best), None)
        facts.append(f"the best by {selector.direction}.{selector.key} is {_label(labels, noun, best)} with {_short(value)}")
    if any(row[0] != "completed" for row in body):
        facts.append("dashed: not completed")
    gap = min(FARTHEST, max(NEAREST, WIDTH // max(1, len(axes) - 1)))
    width = LEFT * 2 + gap * max(1, len(axes) - 1)
    parts = [
        "<!DOCTYPE html><html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><h1>{escape(title)}</h1><p>{escape(' · '.join(facts))}</p>"
        f"<div class='plot'><svg role='img' aria-label='{escape(title, quote=True)}' width='{width}' height='{TOP + HEIGHT + 34}'>"
    ]
    parts.append("<g class='runs'>")
    # the best is drawn last, so that nothing lies over it
    for at in sorted(range(len(body)), key=lambda at: (body[at][1] == best, shades[at] if shades[at] is not None else -1)):
        parts.append(_line(_label(labels, noun, body[at][1]), header, body[at], [axis.places[at] for axis in axes], gap, shades[at], body[at][1] == best))
    parts.append("</g>")
    for at, axis in enumerate(axes):
        parts.append(_drawn_axis(axis, LEFT + at * gap, last=at == len(axes) - 1 and at > 0))
    parts.append("</svg></div></body></html>\n")
    return "".join(parts)


def _axes(header: Sequence[str], body: Sequence[Sequence[Any]], judged: int, logarithmic: Sequence[str]) -> list[_Axis]:
    params = [at for at, name in enumerate(header) if name.startswith("param.")]
    outputs = [at for at, name in enumerate(header) if name.startswith("output.") and at != judged]
    # parameters first, and last what is judged by; results that are texts or say nothing are left out first
    telling = [at for at in outputs if any(number(row[at]) is not None and not isinstance(row[at], str) for row in body)]
    room = max(1, AXES - len(params[: AXES - 1]) - (judged >= 0))
    chosen = [*params[: AXES - 1], *telling[:room], *([judged] if judged >= 0 else [])]
    axes = []
    for at in chosen:
        group, _, name = header[at].partition(".")
        axes.append(_axis(name, "result" if group == "output" else "parameter", [row[at] for row in body], name in logarithmic and group == "param"))
    return axes


def _axis(name: str, kind: str, values: list[Any], log: bool) -> _Axis:
    present = [value for value in values if value is not None]
    numbers = [number(value) for value in present]
    if present and all(found is not None and math.isfinite(found) and not isinstance(value, str | bool) for found, value in zip(numbers, present, strict=True)):
        return _number_axis(name, kind, [None if value is None else float(value) for value in values], log)
    # in the order of their appearance
    places = list(dict.fromkeys(_short(value) for value in present))
    at = {text: (place + 0.5) / len(places) for place, text in enumerate(places)}
    every = math.ceil(len(places) / 14)
    ticks = [(at[text], text) for place, text in enumerate(places) if place % every == 0]
    return _Axis(name, kind, [None if value is None else at[_short(value)] for value in values], ticks)


def _number_axis(name: str, kind: str, values: list[float | None], log: bool) -> _Axis:
    present = [value for value in values if value is not None]
    low, high = min(present), max(present)
    log = log and low > 0
    scale = math.log10 if log else float
    if scale(high) - scale(low) <= abs(scale(high)) * 1e-12:
        return _Axis(name, kind, [None if value is None else 0.5 for value in values], [(0.5, _short(low))])
    span = scale(high) - scale(low)
    places = [None if value is None else (scale(value) - scale(low)) / span for value in values]
    whole = all(value == int(value) for value in present)
    distinct = sorted(set(present))
    if len(distinct) <= FEW:
        # the values that were tried say more than round ones
        marks = _apart(distinct, [scale(value) for value in distinct])
    else:
        marks = _log_marks(low, high) if log else _marks(low, high, whole)
    return _Axis(name, f"{kind}, log" if log else kind, places, [((scale(mark) - scale(low)) / span, f"{mark:.4g}") for mark in marks])


def _apart(values: list[float], places: list[float]) -> list[float]:
    """Those whose marks do not run into one another, both ends among them."""
    room = CLOSE * (places[-1] - places[0])
    kept = [0]
    for at in range(1, len(values) - 1):
        if places[at] - places[kept[-1]] >= room and places[-1] - places[at] >= room:
            kept.append(at)
    return [values[at] for at in [*kept, len(values) - 1]]


def _marks(low: float, high: float, whole: bool) -> list[float]:
    """Round numbers between the two, and the two themselves where there is room."""
    raw = (high - low) / 5
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in ((1, 2, 5, 10) if whole else (1, 2, 2.5, 5, 10)) if factor * power >= raw)
    step = max(1.0, math.ceil(step)) if whole else step
    first = math.ceil(low / step) * step
    inner = [first + at * step for at in range(int((high - first) / step + 1e-9) + 1)]
    inner = [float(f"{mark:.12g}") for mark in inner if mark - low > CLOSE * (high - low) and high - mark > CLOSE * (high - low)]
    return [low, *inner, high]


def _log_marks(low: float, high: float) -> list[float]:
    tens = [10.0**power for power in range(math.ceil(math.log10(low)), math.floor(math.log10(high)) + 1)]
    span = math.log10(high / low)
    inner = [ten for ten in tens if math.log10(ten / low) > CLOSE * span and math.log10(high / ten) > CLOSE * span]
    return [low, *inner, high]


def _shades(body: Sequence[Sequence[Any]], judged: int, selector: Selector | None) -> list[float | None]:
    """How good each row is, from 0 to 1, by rank: one outlier must not make all others look the same."""
    if judged < 0 or selector is None:
        return [0.7 if row[0] == "completed" else None for row in body]
    found = [number(row[judged]) if row[0] == "completed" else None for row in body]
    order = sorted({value for value in found if value is not None}, reverse=selector.direction == "min")
    rank = {value: at / max(1, len(order) - 1) for at, value in enumerate(order)}
    return [None if value is None else rank[value] for value in found]


def _line(name: str, header: Sequence[str], row: Sequence[Any], places: list[float | None], gap: int, shade: float | None, best: bool) -> str:
    points: list[str] = []
    pen = "M"
    for at, place in enumerate(places):
        if place is None:
            # the line goes on to the next axis where it has a value
            continue
        points.append(f"{pen}{LEFT + at * gap} {TOP + (1 - place) * HEIGHT:.1f}")
        pen = "L"
    if not points:
        return ""
    path = "".join(points)
    told = [f"{name}: {row[0]}", *(f"{column.partition('.')[2]} = {_short(value)}" for column, value in zip(header[2:], row[2:], strict=True) if value is not None)]
    kind = "run best" if best else ("run" if shade is not None else "run off")
    colour = "" if best or shade is None else f" style='stroke:color-mix(in oklab,var(--high) {100 * shade:.0f}%,var(--low))'"
    return f"<g class='{kind}'><title>{escape(chr(10).join(told))}</title><path class='hit' d='{path}'/><path class='seen' d='{path}'{colour}/></g>"


def _drawn_axis(axis: _Axis, x: int, *, last: bool) -> str:
    parts = [
        f"<text class='name' x='{x}' y='18' text-anchor='middle'>{escape(_cut(axis.name, 20))}<title>{escape(axis.name)}</title></text>"
        f"<text class='kind' x='{x}' y='33' text-anchor='middle'>{axis.kind}</text>"
        f"<line class='axis' x1='{x}' x2='{x}' y1='{TOP - 6}' y2='{TOP + HEIGHT + 6}'/>"
    ]
    side, anchor = (8, "start") if last else (-8, "end")
    for place, text in axis.ticks:
        y = TOP + (1 - place) * HEIGHT
        parts.append(f"<line class='axis' x1='{x - 3}' x2='{x + 3}' y1='{y:.1f}' y2='{y:.1f}'/>")
        parts.append(f"<text class='tick' x='{x + side}' y='{y + 4:.1f}' text-anchor='{anchor}'>{escape(_cut(text, 12))}</text>")
    return "".join(parts)


def _label(labels: Sequence[str], noun: str, number: int) -> str:
    return labels[number - 1] if labels else f"{noun} {number}"


def _short(value: Any) -> str:
    text = f"{value:.5g}" if isinstance(value, float) else str(value)
    return _cut(" ".join(text.split()), 40)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
