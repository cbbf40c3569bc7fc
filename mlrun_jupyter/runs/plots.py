"""Plots of runs as SVG: they need no library and no network, and take the theme's colours."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from mlrun_jupyter.errors import MLRunMissingDependencyError

# told apart by readers who see few colours, and legible on white and on black
COLOURS = ("#4c8bd8", "#e0822b", "#3fa66a", "#d2527f", "#9a6fd0", "#b0912b", "#2ea7b5", "#c75b4a", "#7f8c3d", "#8a8f99")
# letters stay legible where a line crosses them
_HALO = "paint-order='stroke' stroke='var(--jp-layout-color0,Canvas)' stroke-width='3'"
INK, DIM, RULE = "var(--jp-ui-font-color1,currentColor)", "var(--jp-ui-font-color2,#858585)", "var(--jp-border-color1,#9a9a9a)"
MOST_AXES, MOST_POINTS = 14, 400


def colour(number: int) -> str:
    """The colour of the run of that number."""
    return COLOURS[number % len(COLOURS)]


def legend(names: Sequence[str]) -> str:
    """Which colour is whose; none for more runs than there are colours."""
    if len(names) > len(COLOURS):
        return ""
    items = "".join(
        f"<span style='display:inline-flex;align-items:center;gap:6px;margin-right:16px'>"
        f"<span style='width:14px;height:3px;border-radius:2px;background:{colour(n)}'></span>{escape(name)}</span>"
        for n, name in enumerate(names)
    )
    return f"<div style='margin:4px 0 8px;font-size:12px'>{items}</div>"


def parallel(axes: Sequence[tuple[str, Sequence[Any]]], names: Sequence[str]) -> str:
    """Parallel coordinates: an axis for each name with a value for each run; values that are absent break the line."""
    axes = list(axes)[:MOST_AXES]
    if len(axes) < 2:
        return ""
    width, height, top, bottom, side = max(420, 130 * len(axes)), 260, 34, 22, 60
    step = (width - 2 * side) / (len(axes) - 1)
    scales = [_scale(values) for _, values in axes]
    parts: list[str] = []
    for run, name in enumerate(names):
        pieces: list[list[str]] = [[]]
        for at, (_, values) in enumerate(axes):
            place = scales[at][0](values[run])
            if place is None:
                pieces.append([])
            else:
                pieces[-1].append(f"{side + at * step:.1f},{top + (1 - place) * (height - top - bottom):.1f}")
        tip = escape(f"{name}: " + ", ".join(f"{axis} = {_number(values[run])}" for axis, values in axes))
        for piece in pieces:
            if len(piece) > 1:
                parts.append(
                    f"<polyline points='{' '.join(piece)}' fill='none' stroke='{colour(run)}' stroke-width='2' stroke-opacity='.85' "
                    f"stroke-linejoin='round'><title>{tip}</title></polyline>"
                )
            elif piece:
                cx, cy = piece[0].split(",")
                parts.append(f"<circle cx='{cx}' cy='{cy}' r='3.5' fill='{colour(run)}'><title>{tip}</title></circle>")
    for at, (axis, _) in enumerate(axes):
        x = side + at * step
        parts.append(f"<line x1='{x:.1f}' x2='{x:.1f}' y1='{top}' y2='{height - bottom}' stroke='{RULE}' stroke-width='1'/>")
        parts.append(f"<text x='{x:.1f}' y='14' text-anchor='middle' font-weight='600' fill='{INK}'>{escape(_cut(axis, 20))}</text>")
        for place, text in scales[at][1]:
            y = top + (1 - place) * (height - top - bottom)
            parts.append(f"<line x1='{x - 3:.1f}' x2='{x + 3:.1f}' y1='{y:.1f}' y2='{y:.1f}' stroke='{RULE}'/>")
            parts.append(f"<text x='{x - 7:.1f}' y='{y + 4:.1f}' text-anchor='end' fill='{DIM}' {_HALO}>{escape(_cut(text, 12))}</text>")
    return _svg(width, height, parts, "parameters and results as parallel axes")


def curves(metrics: Mapping[str, Sequence[Sequence[tuple[float, float]]]], names: Sequence[str]) -> str:
    """A small plot for each metric: its value over its step, a line for each run."""
    return "".join(_curve(key, lines, names) for key, lines in list(metrics.items())[:24])


def _curve(key: str, lines: Sequence[Sequence[tuple[float, float]]], names: Sequence[str]) -> str:
    points = [(x, y) for line in lines for x, y in line if math.isfinite(y)]
    if not points:
        return ""
    width, height, left, right, top, bottom = 360, 210, 54, 12, 28, 26
    low_x, high_x = min(x for x, _ in points), max(x for x, _ in points)
    low_y, high_y = min(y for _, y in points), max(y for _, y in points)
    ticks = _ticks(low_y, high_y)
    low_y, high_y = min(low_y, ticks[0]), max(high_y, ticks[-1])

    def place(x: float, y: float) -> str:
        across = (x - low_x) / ((high_x - low_x) or 1)
        up = (y - low_y) / ((high_y - low_y) or 1)
        return f"{left + across * (width - left - right):.1f},{height - bottom - up * (height - top - bottom):.1f}"

    parts = [f"<text x='{left}' y='15' font-weight='600' fill='{INK}'>{escape(_cut(key, 40))}</text>"]
    for tick in ticks:
        _, y = place(low_x, tick).split(",")
        parts.append(f"<line x1='{left}' x2='{width - right}' y1='{y}' y2='{y}' stroke='{RULE}' stroke-opacity='.35'/>")
        parts.append(f"<text x='{left - 6}' y='{float(y) + 4:.1f}' text-anchor='end' fill='{DIM}'>{_number(tick)}</text>")
    for x, anchor in ((low_x, "start"), (high_x, "end")):
        parts.append(f"<text x='{place(x, low_y).split(',')[0]}' y='{height - 8}' text-anchor='{anchor}' fill='{DIM}'>{_number(x)}</text>")
    parts.append(f"<text x='{(left + width - right) / 2}' y='{height - 8}' text-anchor='middle' fill='{DIM}'>step</text>")
    for run, line in enumerate(lines):
        kept = [(x, y) for x, y in line if math.isfinite(y)]
        kept = kept[:: max(1, len(kept) // MOST_POINTS)] + kept[-1:]
        if len(kept) > 1:
            parts.append(
                f"<polyline points='{' '.join(place(x, y) for x, y in kept)}' fill='none' stroke='{colour(run)}' stroke-width='2' "
                f"stroke-linejoin='round'><title>{escape(names[run])}: {_number(kept[-1][1])} at the end</title></polyline>"
            )
    return _svg(width, height, parts, f"{key} over steps")


def _svg(width: float, height: float, parts: Sequence[str], what: str) -> str:
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' role='img' aria-label='{escape(what, quote=True)}' viewBox='0 0 {width:.0f} {height:.0f}' "
        f"width='{width:.0f}' height='{height:.0f}' style='max-width:100%;height:auto;margin:0 16px 8px 0;font:11px system-ui,sans-serif'>{''.join(parts)}</svg>"
    )


def _scale(values: Sequence[Any]) -> tuple[Any, list[tuple[float, str]]]:
    """Where a value lies between 0 and 1 (``None`` when absent), and the ticks."""
    numbers = [float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)]
    if numbers:
        low, high = min(numbers), max(numbers)

        def number(value: Any) -> float | None:
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                return None
            return (float(value) - low) / (high - low) if high > low else 0.5

        return number, [(0.0, _number(low)), (1.0, _number(high))] if high > low else [(0.5, _number(low))]
    texts = sorted({str(value) for value in values if value != "–"})
    places = {text: (at / (len(texts) - 1) if len(texts) > 1 else 0.5) for at, text in enumerate(texts)}
    return (lambda value: places.get(str(value))), [(place, text) for text, place in places.items()]


def _ticks(low: float, high: float) -> list[float]:
    """Three or four round numbers that hold the range."""
    span = (high - low) or abs(high) or 1.0
    size = 10 ** math.floor(math.log10(span / 2))
    size *= next((factor for factor in (1, 2, 5, 10) if span / (size * factor) <= 3), 10)
    first = math.floor(low / size)
    last = math.ceil(high / size)
    return [round(at * size, 12) for at in range(first, max(last, first + 1) + 1)]


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def interactive(table: Any, metrics: Mapping[str, Sequence[Any]], names: Mapping[str, str]) -> Any:
    """Metrics over steps, and results by run, as hvPlot plots.

    :raises MLRunMissingDependencyError: without the extra ``dashboards``.
    """
    try:
        import hvplot.pandas  # noqa: F401
        import pandas as pd
    except ImportError as error:
        raise MLRunMissingDependencyError(
            "interactive plots need hvPlot", why=str(error), next_step="pip install 'mlrun-jupyter[dashboards]'"
        ) from error
    rows = [
        {"run": names[uid], "metric": point.key, "step": point.step, "value": point.value} for uid, points in metrics.items() for point in points
    ]
    frame = pd.DataFrame(rows)
    plots = None
    for key in frame["metric"].unique() if rows else ():
        plot = frame[frame["metric"] == key].hvplot.line(x="step", y="value", by="run", title=str(key), width=420, height=280)
        plots = plot if plots is None else plots + plot
    numbers = table.T.apply(pd.to_numeric, errors="coerce").dropna(axis=1, how="any") if len(table) else pd.DataFrame()
    axes = [name for name in numbers.columns if name[0] in ("parameters", "results")]
    if len(axes) > 1:
        flat = numbers[axes]
        flat.columns = [name for _, name in axes]
        scaled = (flat - flat.min()) / (flat.max() - flat.min()).replace(0, 1)
        long = scaled.rename_axis("run").reset_index().melt(id_vars="run", var_name="axis", value_name="place")
        plot = long.hvplot.line(x="axis", y="place", by="run", title="parameters and results, from least to most", width=640, height=300)
        plots = plot if plots is None else plots + plot
    if plots is None:
        return table
    return plots.cols(2) if hasattr(plots, "cols") else plots


def document(title: str, body: str) -> str:
    """A page of its own: light or dark as the reader's system is, and nothing from elsewhere."""
    return (
        "<!DOCTYPE html>\n<html lang='en'><head><meta charset='utf-8'><meta name='viewport' content='width=device-width'>"
        f"<title>{escape(title)}</title><style>"
        ":root{color-scheme:light dark;--jp-ui-font-color1:#212121;--jp-ui-font-color2:#666;--jp-border-color1:#9e9e9e;--jp-border-color2:#c8c8c8;"
        "--jp-success-color1:#2e7d32;--jp-error-color1:#c62828}"
        "@media (prefers-color-scheme:dark){:root{--jp-ui-font-color1:#e8e8e8;--jp-ui-font-color2:#a8a8a8;--jp-border-color1:#6a6a6a;"
        "--jp-border-color2:#4a4a4a;--jp-success-color1:#81c784;--jp-error-color1:#ef9a9a}}"
        "body{font:14px/1.5 system-ui,sans-serif;margin:24px;color:var(--jp-ui-font-color1);background:Canvas}"
        "h1{font-size:18px;font-weight:600;margin:0 0 12px}table{font-size:13px;border-collapse:collapse}td,th{padding:3px 16px 3px 0}thead th{border-bottom:1px solid var(--jp-border-color2)}"
        "tbody tr:hover{background:color-mix(in srgb,currentColor 6%,transparent)}"
        f"</style></head><body><h1>{escape(title)}</h1>{body}</body></html>\n"
    )
