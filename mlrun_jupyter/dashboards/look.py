"""What all pages share: how Panel is made ready, colours of both themes, cards."""

from __future__ import annotations

from html import escape
from typing import Any

THEMES = ("default", "dark")
COLOURS = {
    "default": {"ink": "#1f2328", "dim": "#59636e", "line": "#d1d9e0", "back": "#ffffff", "card": "#ffffff", "bar": "#3b7dd8", "second": "#c2571a"},
    "dark": {"ink": "#e6edf3", "dim": "#9198a1", "line": "#3d444d", "back": "#111418", "card": "#181c21", "bar": "#5b9bf0", "second": "#f0883e"},
}
WIDE = 1120


def ready(theme: str = "default") -> Any:
    """Panel, with what our pages need, whether in a notebook or not; nothing is fetched from a network.

    :raises MLRunMissingDependencyError: without Panel and hvPlot.
    """
    from mlrun_jupyter.errors import MLRunInvalidArgumentError, MLRunMissingDependencyError

    if theme not in THEMES:
        raise MLRunInvalidArgumentError(f"{theme!r} is no theme", next_step=f"use {' or '.join(THEMES)}")
    import os

    # hvPlot loads its own extension when it is imported, from a network unless it is told otherwise before
    os.environ.setdefault("PANEL_INLINE", "true")
    os.environ.setdefault("BOKEH_RESOURCES", "inline")
    try:
        import holoviews as hv
        import hvplot
        import panel as pn
    except ImportError as error:
        raise MLRunMissingDependencyError("dashboards need Panel and hvPlot", why=str(error), next_step="pip install 'mlrun-jupyter[dashboards]'") from error
    for extension in (hv.extension, hvplot.hvplot_extension):
        # outside of a notebook HoloViews' is another class, without this
        if "inline" in extension.param:
            extension.inline = True
    import hvplot.pandas

    pn.extension(theme=theme, inline=True, notifications=False)
    return pn


def _plots(theme: str) -> Any:
    """Plots on the ground of their card."""
    from bokeh.themes import Theme

    c = COLOURS[theme]
    lines = {"axis_line_color": c["line"], "major_tick_line_color": c["line"], "minor_tick_line_color": None, "major_label_text_color": c["dim"], "axis_label_text_color": c["dim"]}
    return Theme(json={"attrs": {
        "Plot": {"background_fill_color": c["card"], "border_fill_color": c["card"], "outline_line_color": c["line"]},
        "Axis": lines, "Grid": {"grid_line_color": c["line"], "grid_line_alpha": 0.5}, "Title": {"text_color": c["ink"], "text_font_style": "bold"},
        "ColorBar": {"background_fill_color": c["card"], "major_label_text_color": c["dim"], "title_text_color": c["dim"], "bar_line_color": c["line"]},
    }})  # fmt: skip


def plot(pn: Any, element: Any, *, theme: str, **options: Any) -> Any:
    """A pane of a plot of HoloViews or hvPlot."""
    return pn.pane.HoloViews(element, theme=_plots(theme), linked_axes=False, **options)


def tabs(pn: Any, parts: list[tuple[str, Any]], *, theme: str) -> Any:
    c = COLOURS[theme]
    sheet = f".bk-tab {{ color: {c['dim']}; background: none; border: none; border-bottom: 2px solid transparent; padding: 6px 12px }} .bk-tab.bk-active {{ color: {c['ink']}; background: none; border-color: {c['bar']}; font-weight: 600 }} .bk-header {{ border-bottom: 1px solid {c['line']} }}"
    return pn.Tabs(*parts, sizing_mode="stretch_width", margin=0, dynamic=False, stylesheets=[sheet])


def ago(moment: str) -> str:
    """How long it is since a time in ISO 8601, in words."""
    from mlrun_jupyter.model.clock import elapsed, now, parse

    if not moment:
        return ""
    seconds = max(0.0, (now() - parse(moment)).total_seconds())
    days = int(seconds // 86400)
    if days >= 730:
        return f"{days // 365} years ago"
    return f"{days} days ago" if days >= 2 else f"{elapsed(seconds)} ago"


def card(pn: Any, title: str, *content: Any, theme: str, note: str = "") -> Any:
    """A titled box."""
    c = COLOURS[theme]
    said = f"<span style='color:{c['dim']};font-weight:400;font-size:12px'>&ensp;{escape(note)}</span>" if note else ""
    head = pn.pane.HTML(f"<h2 style='margin:0;font-size:15px;font-weight:600;color:{c['ink']}'>{escape(title)}{said}</h2>", margin=(0, 0, 8, 0), sizing_mode="stretch_width")
    return pn.Column(
        head, *content, sizing_mode="stretch_width", margin=(0, 0, 16, 0),
        styles={"background": c["card"], "border": f"1px solid {c['line']}", "border-radius": "6px", "padding": "14px 16px", "box-sizing": "border-box"},
    )  # fmt: skip


def html(pn: Any, text: str, *, theme: str, **options: Any) -> Any:
    """A pane of HTML in the theme's colours."""
    c = COLOURS[theme]
    return pn.pane.HTML(f"<div style='color:{c['ink']};font-size:13px;line-height:1.5'>{text}</div>", sizing_mode="stretch_width", margin=0, **options)


def table(rows: list[list[str]], head: list[str], *, theme: str, numbers: frozenset[int] = frozenset()) -> str:
    """A table as HTML; cells are escaped. It scrolls by itself where it is too wide.

    :param numbers: columns that are aligned right.
    """
    c = COLOURS[theme]

    def at(index: int) -> str:
        return "right" if index in numbers else "left"

    titles = "".join(f"<th style='text-align:{at(i)};padding:4px 10px;font-weight:600;color:{c['dim']};white-space:nowrap'>{escape(t)}</th>" for i, t in enumerate(head))
    body = "".join(
        "<tr>" + "".join(f"<td style='text-align:{at(i)};padding:4px 10px;border-top:1px solid {c['line']};max-width:420px;overflow:hidden;text-overflow:ellipsis;white-space:nowrap' title='{escape(cell, quote=True)}'>{escape(cell)}</td>" for i, cell in enumerate(row)) + "</tr>"
        for row in rows
    )  # fmt: skip
    return f"<div style='overflow-x:auto;max-height:520px'><table style='border-collapse:collapse;font-size:12.5px;font-variant-numeric:tabular-nums'><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>"


def figure(value: Any) -> str:
    """A number as people read it."""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:,.4g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
