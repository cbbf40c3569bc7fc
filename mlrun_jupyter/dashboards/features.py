"""The page of a feature set or vector: what it is, how its values are spread, and how they go over time."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlrun_jupyter.dashboards import export as exports
from mlrun_jupyter.dashboards.look import COLOURS, WIDE, ago, card, figure, html, plot, ready, table, tabs
from mlrun_jupyter.features import catalogue, statistics, tables
from mlrun_jupyter.features.frames import ARRIVAL, value_type
from mlrun_jupyter.model.canonical import to_yaml

if TYPE_CHECKING:
    import polars as pl

MOST, POINTS, SAMPLE, ROWS = 24, 60, 100_000, 20
"""Features that are drawn; moments of a curve; rows that correlations are of; rows that are shown."""


@dataclass
class Shown:
    """What the page is of, read once.

    :ivar curves: time, then the mean of each numeric feature, and ``rows``.
    """

    kind: str
    name: str
    document: Any
    status: Any
    columns: list[catalogue.Found]
    stats: dict[str, dict[str, Any]]
    rows: int
    sample: pl.DataFrame
    curves: pl.DataFrame | None
    time: str
    facts: list[tuple[str, str]]
    graph: Any = None
    notes: tuple[str, ...] = ()
    use: str = ""
    steps: str = ""
    certificate: str = field(default="")

    @property
    def features(self) -> list[str]:
        return [one.name for one in self.columns if one.role in ("feature", "aggregation", "label") and one.name in self.stats]

    @property
    def numeric(self) -> list[str]:
        return [name for name in self.features if self.stats[name].get("mean") is not None]


def page(one: Any, theme: str = "default") -> Any:
    """The page, as a Panel object.

    :param one: a feature set or vector, as :mod:`mlrun_jupyter.feature_store` gives it.
    :param theme: ``default`` or ``dark``.
    :raises MLRunNotFoundError: for a set without rows.
    :raises MLRunMissingDependencyError: without Panel and hvPlot.
    """
    pn = ready(theme)
    shown = read(one)
    overview = [_about(pn, shown, theme), _table(pn, shown, theme), _missing(pn, shown, theme)]
    parts = [
        ("Overview", overview),
        ("Distributions", [_distributions(pn, shown, theme)]),
        ("Over time", [_over_time(pn, shown, theme)] if shown.curves is not None else []),
        ("Correlation", [_correlation(pn, shown, theme)] if len(shown.numeric) > 1 else []),
        ("Sample", [_sample(pn, shown, theme)]),
        ("Lineage", [_lineage(pn, shown, theme)] if shown.graph is not None else []),
        ("Code", [_code(pn, shown, theme)]),
    ]
    body = tabs(pn, [(title, pn.Column(*content, sizing_mode="stretch_width", margin=(14, 0, 0, 0))) for title, content in parts if content], theme=theme)
    c = COLOURS[theme]
    kind = "feature set" if shown.kind == "feature-set" else "feature vector"
    text = f"<h1 style='margin:0;font-size:22px;font-weight:600;color:{c['ink']}'>{escape(shown.name)} <span style='color:{c['dim']};font-weight:400;font-size:14px'>{kind} of {escape(shown.document.project)}</span></h1>"
    if shown.document.description:
        text += f"<p style='margin:4px 0 0;color:{c['dim']};font-size:14px'>{escape(shown.document.description)}</p>"
    head = pn.pane.HTML(text, sizing_mode="stretch_width", margin=(0, 0, 10, 0))
    return pn.Column(head, body, sizing_mode="stretch_width", max_width=WIDE, styles={"background": c["back"], "margin": "0 auto"})


def save(one: Any, path: str | Path, theme: str = "default") -> Path:
    """Write the page as one HTML file that needs no network; returns its path."""
    return exports.export(page(one, theme), Path(path), title=f"{one.name} · MLRun", theme=theme)


def serve(one: Any, *, port: int = 0, theme: str = "default", show: bool = True) -> None:
    """Serve the page on this machine until interrupted; each visit shows the rows of then."""
    exports.serve(lambda: page(one, theme), title=f"{one.name} · MLRun", port=port, show=show)


# -- what is shown ----------------------------------------------------------------------------------------------------


def read(one: Any) -> Shown:
    """Read it all once."""
    return _of_set(one) if one.kind == "feature-set" else _of_vector(one)


def _of_set(fset: Any) -> Shown:
    document, status, place = fset._homed(), fset.status, fset.place()
    found = tables.snapshot(place, document)
    lazy, time = found.scan(), document.timestamp_key
    order = [time, ARRIVAL] if time else [ARRIVAL]
    columns = catalogue.columns(document, status)
    made = Shown(
        "feature-set", document.name, document, status, columns, status.stats, status.rows, lazy.sort(order).tail(SAMPLE).drop(ARRIVAL).collect(), None, time,
        _facts_of_set(document, status, place), _graph(place, document.uri, status.definition),
        use=catalogue.python(document),
        steps=" → ".join(step.name for step in document.steps),
    )  # fmt: skip
    if document.steps and status.version >= 0:
        from mlrun_jupyter.features.steps import describe

        made.certificate = describe(status.certificate)
    made.curves = _curves(lazy, time, made.numeric) if time else None
    return made


def _facts_of_set(document: Any, status: Any, place: Any) -> list[tuple[str, str]]:
    newest = (status.stats.get(document.timestamp_key) or {}).get("max", "") if document.timestamp_key else ""
    facts = [
        ("rows", f"{status.rows:,}"), ("version", str(status.version)), ("ingested", ago(status.updated)), ("newest event", f"{str(newest)[:19].replace('T', ' ')} UTC, {ago(str(newest))}" if newest else ""),
        ("keys", ", ".join(document.keys)), ("time", document.timestamp_key), ("known at", document.known_at), ("time to live", document.ttl), ("owner", document.owner),
        ("labels", ", ".join(f"{k}={v}" for k, v in document.labels.items())), ("source", "" if not document.source or document.source.kind == "sql" else document.source.path),
    ]  # fmt: skip
    there = catalogue.served(place, document, status)
    if there is not None:
        facts.append(("online", f"{there[0]:,} entities" + (f", newest {ago(there[1])}" if there[1] else "")))
    return facts


def _of_vector(vector: Any) -> Shown:
    document = vector._homed()
    response = vector.get_offline_features(with_indexes=True)
    frame, keys, time = response.to_polars(), response._found.keys, response._found.time
    schema = {name: value_type(kind) for name, kind in frame.schema.items()}
    roles = {document.label: "label", time: "time", **dict.fromkeys(keys, "entity")}
    columns = [catalogue.Found(name, document.name, document.project, roles.get(name, "feature"), kind) for name, kind in schema.items()]
    facts = [
        ("rows", f"{frame.height:,}"), ("keys", ", ".join(keys)), ("time", time), ("label", document.label_feature), ("owner", document.owner),
        ("labels", ", ".join(f"{k}={v}" for k, v in document.labels.items())),
        ("read from", ", ".join(f"{name.rpartition('/')[2]} version {one['version']}" for name, one in response.record["sets"].items())),
    ]  # fmt: skip
    made = Shown(
        "feature-vector", document.name, document, vector.status, columns, statistics.collect(frame, schema), frame.height, frame.tail(SAMPLE), None, time, facts,
        _graph(vector.place(), document.uri), response.notes,
        use=catalogue.python(document),
    )  # fmt: skip
    made.curves = _curves(frame.lazy(), time, made.numeric) if time else None
    return made


def _graph(place: Any, uri: str, definition: str = "") -> Any:
    from mlrun_jupyter.lineage import around
    from mlrun_jupyter.project import session

    found = around(session(), f"{uri.partition('@')[0]}@{definition}" if definition else uri, depth=1, largest=24)
    return found if len(found.nodes) > 1 else None


def _curves(lazy: pl.LazyFrame, time: str, names: list[str]) -> pl.DataFrame | None:
    """Means over equal stretches of time."""
    import polars as pl

    least, largest = lazy.select(pl.col(time).min().alias("a"), pl.col(time).max().alias("b")).collect().row(0)
    if least is None or least == largest:
        return None
    width = max(1, int((largest - least).total_seconds() * 1_000_000) // POINTS)
    part = (pl.col(time).cast(pl.Int64) - int(least.timestamp() * 1_000_000)) // width
    values = [pl.col(name).cast(pl.Float64).fill_nan(None).mean() for name in names[:MOST]]
    made = lazy.group_by(part.clip(0, POINTS - 1).alias("__part")).agg(*values, pl.len().alias("__rows"), pl.col(time).min().alias("__time")).collect()
    return made.sort("__part")


# -- the parts of the page --------------------------------------------------------------------------------------------


def _about(pn: Any, shown: Shown, theme: str) -> Any:
    c = COLOURS[theme]
    facts = "".join(
        f"<div style='min-width:150px'><div style='color:{c['dim']};font-size:12px'>{escape(name)}</div><div>{escape(value)}</div></div>" for name, value in shown.facts if value
    )
    notes = "".join(f"<li>{escape(note)}</li>" for note in shown.notes)
    return card(pn, "About", html(pn, f"<div style='display:flex;flex-wrap:wrap;gap:12px 32px'>{facts}</div>{f'<ul>{notes}</ul>' if notes else ''}", theme=theme), theme=theme)


def _table(pn: Any, shown: Shown, theme: str) -> Any:
    figures = ("mean", "std", "min", "50%", "max", "unique", "top")
    rows = []
    for one in shown.columns[:500]:
        stats = shown.stats.get(one.name, {})
        total = stats.get("count", 0) + stats.get("nulls", 0)
        share = f"{stats.get('nulls', 0) / total:.1%}" if total else ""
        rows.append([one.name, one.value_type, one.role, share, *(_short(stats.get(name)) for name in figures), one.description])
    head = ["column", "type", "role", "missing", *figures, "description"]
    return card(pn, "Columns", html(pn, table(rows, head, theme=theme, numbers=frozenset(range(3, 10))), theme=theme), theme=theme, note=f"{len(shown.columns)} columns")


def _short(value: Any) -> str:
    text = figure(value)
    # a time by itself: seconds are enough
    return text[:19].replace("T", " ") if len(text) > 26 and text[10:11] == "T" else text


def _missing(pn: Any, shown: Shown, theme: str) -> Any:
    import pandas as pd

    shares = {}
    for name in shown.features:
        stats = shown.stats[name]
        total = stats.get("count", 0) + stats.get("nulls", 0)
        shares[name] = 100 * (stats.get("nulls", 0) + stats.get("nans", 0)) / total if total else 0.0
    there = {name: share for name, share in sorted(shares.items(), key=lambda pair: -pair[1]) if share > 0}
    if not there:
        return card(pn, "Missing values", html(pn, "No feature has missing values.", theme=theme), theme=theme)
    first = dict(list(there.items())[:MOST])
    frame = pd.DataFrame({"feature": list(first)[::-1], "missing": list(first.values())[::-1]})
    drawn = frame.hvplot.barh(x="feature", y="missing", xlabel="", ylabel="missing, %", color=COLOURS[theme]["second"], height=max(140, 40 + 24 * len(frame)), responsive=True, ylim=(0, max(1.0, max(first.values()) * 1.1)), line_alpha=0, bar_width=0.7, tools=["hover"], toolbar=None)
    return card(pn, "Missing values", plot(pn, drawn, theme=theme, sizing_mode="stretch_width", margin=0), theme=theme, note=f"{len(there)} of {len(shown.features)} features")


def _distributions(pn: Any, shown: Shown, theme: str) -> Any:
    import pandas as pd

    cells = []
    for name in shown.features[:MOST]:
        stats = shown.stats[name]
        if stats.get("hist") and stats["hist"][0] and stats.get("mean") is not None:
            counts, edges = stats["hist"]
            frame = pd.DataFrame({"from": edges[:-1], "to": edges[1:], "rows": counts, "zero": 0})
            drawn = _bars(frame, name, theme)
        elif stats.get("frequent"):
            pairs = list(stats["frequent"])[:10]
            frame = pd.DataFrame({"value": [str(pair[0])[:24] for pair in pairs][::-1], "rows": [pair[1] for pair in pairs][::-1]})
            drawn = frame.hvplot.barh(x="value", y="rows", xlabel="", ylabel="", color=COLOURS[theme]["bar"], height=190, width=330, line_alpha=0, title=name, fontsize=_FONTS, toolbar=None)
        else:
            continue
        cells.append(plot(pn, drawn, theme=theme, margin=4))
    more = len(shown.features) - MOST
    return card(pn, "Distributions", pn.FlexBox(*cells, gap="6px") if cells else html(pn, "No feature has a distribution.", theme=theme), theme=theme, note=f"the first {MOST} of {len(shown.features)}" if more > 0 else "")


_FONTS = {"title": "10pt", "ticks": "8pt", "labels": "8pt"}


def _bars(frame: Any, name: str, theme: str) -> Any:
    import holoviews as hv

    return hv.Histogram(([*frame["from"], frame["to"].iloc[-1]], list(frame["rows"])), kdims=[name], vdims=["rows"]).opts(
        width=330, height=190, fill_color=COLOURS[theme]["bar"], line_color=COLOURS[theme]["card"], title=name, xlabel="", ylabel="", fontsize=_FONTS, toolbar=None, tools=["hover"],
        yformatter="%.0f", xticks=4, yticks=4,
    )  # fmt: skip


def _over_time(pn: Any, shown: Shown, theme: str) -> Any:
    assert shown.curves is not None
    frame = shown.curves.to_pandas()
    options = {"height": 190, "width": 520, "color": COLOURS[theme]["bar"], "xlabel": "", "ylabel": "", "fontsize": _FONTS, "toolbar": None, "line_width": 1.6}
    cells = [plot(pn, frame.hvplot.line(x="__time", y="__rows", title="rows", **options), theme=theme, margin=4)]
    for name in shown.numeric[:MOST]:
        cells.append(plot(pn, frame.hvplot.line(x="__time", y=name, title=name, **options), theme=theme, margin=4))
    return card(pn, "Over time", pn.FlexBox(*cells, gap="6px"), theme=theme, note=f"means over {shown.curves.height} stretches of {shown.time}")


def _correlation(pn: Any, shown: Shown, theme: str) -> Any:
    names = [name for name in shown.numeric[:MOST] if name in shown.sample.columns]
    frame = shown.sample.select(names).to_pandas().astype("float64")
    matrix = frame.corr()
    drawn = matrix.hvplot.heatmap(cmap="RdBu_r", clim=(-1, 1), clabel="", xlabel="", ylabel="", height=max(260, 90 + 26 * len(names)), responsive=True, rot=45, fontsize=_FONTS, toolbar=None)
    return card(pn, "Correlation", plot(pn, drawn, theme=theme, sizing_mode="stretch_width", margin=0), theme=theme, note=f"Pearson, of {len(frame):,} rows")


def _sample(pn: Any, shown: Shown, theme: str) -> Any:
    head = shown.sample.tail(ROWS)
    rows = [[_short(value) if not isinstance(value, datetime) else value.strftime("%Y-%m-%d %H:%M:%S") for value in row] for row in head.rows()]
    numbers = frozenset(at for at, kind in enumerate(head.dtypes) if kind.is_numeric())
    return card(pn, "Sample", html(pn, table(rows, head.columns, theme=theme, numbers=numbers), theme=theme), theme=theme, note=f"the last {head.height} rows by {shown.time}" if shown.time else f"the last {head.height} rows")


def _lineage(pn: Any, shown: Shown, theme: str) -> Any:
    from mlrun_jupyter.dashboards.lineage import drawing

    return card(pn, "Lineage", html(pn, drawing(shown.graph, theme), theme=theme), theme=theme, note="what it came of at the left, what came of it at the right")


def _code(pn: Any, shown: Shown, theme: str) -> Any:
    c = COLOURS[theme]

    def block(text: str) -> str:
        return f"<pre style='margin:0 0 10px;padding:10px;border:1px solid {c['line']};border-radius:4px;overflow-x:auto;font-size:12px;line-height:1.45'>{escape(text)}</pre>"

    steps = f"<p style='margin:0 0 6px'>{escape(shown.steps)}</p><p style='margin:0 0 10px;white-space:pre-line;color:{c['dim']}'>{escape(shown.certificate)}</p>" if shown.steps else ""
    sources = "".join(block(step.source) for step in getattr(shown.document, "steps", ()) if step.source)
    return card(pn, "Code", html(pn, block(shown.use) + steps + sources + block(to_yaml(shown.document)), theme=theme), theme=theme)
